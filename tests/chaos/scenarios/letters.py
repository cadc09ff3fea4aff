"""Faults of the dead-letter topic."""

from tests.chaos.kinds import kind
from tests.chaos.traffic import Mix
from tests.chaos.world import Options, World


@kind("letters-missing", Options(letters_exist=False, mix=Mix(invalid=5, refused=4)))
def letters_missing(world: World) -> None:
    """The dead-letter topic does not exist: intake pauses at the first letter, and goes on once it is created."""
    worker = world.worker()
    with world.load():
        world.until(lambda: worker.metrics()["intake_paused{reason=dead_letter}"] == 1, "intake to pause", 60)
        world.sleep(0.0, 4.0)
        assert worker.metrics()["requests_in_flight"] <= 8
        world.create_letters()
        world.healed()
        world.until(lambda: worker.total("dead_letters_total") > 0, "letters to be written", 60)
        world.delivered(5)


@kind("letters-refused", Options(letters_config={"max.message.bytes": "100"}, mix=Mix(invalid=5, refused=4)))
def letters_refused(world: World) -> None:
    """The dead-letter topic takes no letter, however short, and then does."""
    worker = world.worker()
    with world.load():
        world.until(lambda: worker.metrics()["intake_paused{reason=dead_letter}"] == 1, "intake to pause", 60)
        world.sleep(0.0, 4.0)
        assert worker.total("dead_letters_total") == 0
        assert world.letters is not None
        world.cluster.configure_topic(world.letters, {"max.message.bytes": "1000000"})
        world.healed()
        world.until(lambda: worker.total("dead_letters_total") > 0, "letters to be written", 60)
        world.delivered(5)
