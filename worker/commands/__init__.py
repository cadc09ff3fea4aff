"""The commands that operate a group. At its top each module imports the command line's parser only."""
