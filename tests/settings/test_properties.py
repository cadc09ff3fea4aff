from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tests.settings.environments import LEAST
from worker.settings import FIELDS, Settings, SettingsError, load

NAMES = st.sampled_from(sorted([*FIELDS, *(f"{name}_FILE" for name in FIELDS)])) | st.text()
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(min_value=10**4400, max_value=10**4401 - 1)).map(
    lambda number: (
        f"{number:.400e}" if isinstance(number, float) else hex(number) if abs(number) > 10**400 else str(number)
    )
)
VALUES = st.one_of(
    st.text(alphabet=st.characters()),
    st.text(alphabet=",.:/@?#[]% \t_-azAZ09"),
    st.sampled_from(
        ["/", ".", "\0", "\udcff", "http://[", "https://a:b@c", "SASL_SSL", "PLAIN", "1_0", "1__0", "9" * 5000]
    ),
    NUMBERS,
)


def outcome(environ: dict[str, str]) -> Settings | SettingsError:
    try:
        return load({**LEAST, **environ})
    except SettingsError as error:
        return error


@given(st.dictionaries(NAMES, VALUES))
def test_any_environment_gives_settings_or_names_its_problems(environ: dict[str, str]) -> None:
    result = outcome(environ)

    if isinstance(result, SettingsError):
        assert result.problems
        assert all(line.split(":")[0] in FIELDS for line in result.problems)
        assert all(line.isprintable() for line in result.problems)
    else:
        assert set(result.origins) == set(FIELDS)


@given(st.binary())
def test_any_file_gives_a_key_or_one_problem(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        path.write_bytes(content)
        result = outcome({"OPTICO_API_KEY": "", "OPTICO_API_KEY_FILE": str(path)})

        if isinstance(result, SettingsError):
            assert len(result.problems) == 1
        else:
            assert result.optico.api_key.value == content.decode("utf-8-sig").strip()
            assert result.optico.api_key.reload() is False
