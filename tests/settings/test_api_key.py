import os
import pickle
import threading
from pathlib import Path

import pytest

from tests.settings.environments import LEAST
from worker.settings import ApiKey, load

OLD, NEW = "fake-key-old", "fake-key-new"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{OLD}\n")
    return path


@pytest.fixture
def key(path: Path) -> ApiKey:
    environ = {name: value for name, value in LEAST.items() if name != "OPTICO_API_KEY"}
    return load({**environ, "OPTICO_API_KEY_FILE": str(path)}).optico.api_key


def test_a_replaced_file_gives_the_new_key_once_it_is_reloaded(key: ApiKey, path: Path) -> None:
    path.write_text(f"  {NEW}\n\n")

    assert (key.value, key.path) == (OLD, path)
    assert key.reload() is True
    assert key.value == NEW
    assert key.reload() is False


def test_an_old_key_stays_known_so_that_it_is_masked_on(key: ApiKey, path: Path) -> None:
    path.write_text(NEW)
    key.reload()

    assert key.known == {OLD, NEW}


@pytest.mark.parametrize("content", [b"", b"\n", b" \n", b"fake\nkey", b"\xff", b"x" * 70_000])
def test_a_file_that_holds_no_key_leaves_the_key_as_it_is(key: ApiKey, path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert key.reload() is False
    assert key.value == OLD


def test_a_file_that_is_gone_leaves_the_key_as_it_is(key: ApiKey, path: Path) -> None:
    path.unlink()

    assert key.reload() is False
    assert key.value == OLD


def test_a_pipe_is_read_at_the_start_and_never_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(OLD,))
    writer.start()
    environ = {**LEAST, "OPTICO_API_KEY": "", "OPTICO_API_KEY_FILE": str(pipe)}

    key = load(environ).optico.api_key
    writer.join()

    assert key.value == OLD
    assert key.reload() is False  # and does not wait for another writer


def test_a_key_from_the_environment_never_changes() -> None:
    key = load({**LEAST, "OPTICO_API_KEY": f" {OLD} "}).optico.api_key

    assert key.reload() is False
    assert (key.value, key.path) == (OLD, None)


def test_of_many_threads_that_reload_one_sees_the_change(key: ApiKey, path: Path) -> None:
    path.write_text(NEW)
    changes: list[bool] = []
    threads = [threading.Thread(target=lambda: changes.append(key.reload())) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert changes.count(True) == 1


def test_a_key_is_shown_nowhere() -> None:
    key = ApiKey(OLD)

    assert [str(key), repr(key), f"{key}", f"{key!s}", repr([key])] == [
        "***",
        "ApiKey(***)",
        "***",
        "***",
        "[ApiKey(***)]",
    ]
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(ValueError, match="control characters") as caught:
        ApiKey(f"{OLD}\0")
    assert OLD not in repr(caught.value)
