"""Brokers to test on: `kafka` runs them, `tools` writes to them and looks into them."""

import warnings

# kafka-python reads its schemas with a function that Python 3.11 and 3.12 call deprecated, and warnings are errors.
# It is imported here first, because the tests' configuration is read before a filter of its own could count.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401
