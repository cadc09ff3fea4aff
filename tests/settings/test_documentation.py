import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_generated_pages_are_as_the_code_says() -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_a_stale_page_is_named_with_the_command_that_renews_it(tmp_path: Path) -> None:
    generator = tmp_path / "generate.py"
    for name in ("generate.py", "events.md"):  # of that page only the tables are generated
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text())
    (tmp_path / "configuration.md").write_text("stale")
    command = [sys.executable, str(generator), "--check"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "docs/configuration.md is stale; renew it with: python docs/generate.py" in result.stderr
    assert (tmp_path / "configuration.md").read_text() == "stale"
