"""Which commands there are, and what is said about them."""

import pytest

from cl_bench.reports.command_line import main

COMMANDS = ("table", "figures", "page", "compare")


def test_help_names_every_command_and_nothing_typed_is_a_mistake(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr()
    assert all(f"\n  {name} " in shown.out for name in COMMANDS) and shown.err == ""
    for typed in ([], ["tables"]):
        assert main(typed) == 2 and capsys.readouterr().err == shown.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_help(capsys, monkeypatch, name):
    for program, typed in (("cl-bench", "cl-bench report"), ("__main__.py", "python -m cl_bench.reports")):
        monkeypatch.setattr("sys.argv", [f"/somewhere/{program}"])
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0 and capsys.readouterr().out.startswith(f"usage: {typed} {name} ")
