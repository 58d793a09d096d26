"""`cl-bench`, its commands and what it answers where it is not typed right."""

import pytest

from cl_bench.runtime import commands

pytestmark = pytest.mark.slow


def test_help_lists_the_commands_and_each_says_its_name_as_it_was_typed(cl_bench, run_py, command, tmp_path):
    helped = cl_bench("--help")
    assert helped.returncode == 0 and helped.stdout.startswith("usage: cl-bench COMMAND")
    for name in ("run", "merge", "export", "data", "report", "analyze"):
        assert f"\n  {name} " in helped.stdout
        asked = cl_bench(name, "--help")
        assert asked.returncode == 0, asked.stderr
        assert f"cl-bench {name}" in asked.stdout and "python -m" not in asked.stdout, name
    for typed, name in ((run_py("--help"), "python run.py"), (cl_bench("run", "--help"), "cl-bench run")):
        assert f"Usage: {name} [group=choice ...]" in typed.stdout and typed.stdout.count(f"\n    {name}") >= 5
    for module in ("merge", "export", "datasets", "analyses", "reports"):
        asked = command("-m", f"cl_bench.{module}", "--help", cwd=tmp_path)
        assert asked.returncode == 0 and f"python -m cl_bench.{module}" in asked.stdout


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["mergee"], "Error: cl-bench mergee: there is no such command; did you mean cl-bench merge?"),
        (["nonsense"], "Error: cl-bench nonsense: there is no such command."),
        (["merger=ties"], "Error: settings come after a command: cl-bench run merger=ties"),
        ([], ""),
    ],
)
def test_what_is_no_command_is_told_with_those_that_there_are(cl_bench, typed, message):
    refused = cl_bench(*typed)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert (refused.stdout + refused.stderr).startswith(message or "usage: cl-bench COMMAND")
    assert "analyze" in refused.stdout + refused.stderr


def test_advice_is_typed_as_the_command_was(cl_bench, run_py):
    missing = ("scenario=cifar100_5", "backbone=tiny_clip")
    assert "Get it with: cl-bench data download cifar100 " in cl_bench("run", *missing).stderr
    assert "Get it with: python -m cl_bench.datasets download cifar100 " in run_py(*missing).stderr
    assert "PYTHONPATH=FOLDER cl-bench run …" in cl_bench("run", "merger._target_=nowhere.Merger").stderr
    assert "pretrained is missing; cl-bench merge --help shows an example" in cl_bench("merge").stderr


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        ("/usr/bin/cl-bench", ["cl-bench run", "cl-bench data"]),
        ("run.py", ["python run.py", "python -m cl_bench.datasets"]),
        ("/site-packages/cl_bench/merge/__main__.py", ["cl-bench run", "python -m cl_bench.datasets"]),
        ("-c", ["cl-bench run", "python -m cl_bench.datasets"]),
    ],
)
def test_a_command_is_named_as_the_user_types_commands(monkeypatch, program, typed):
    monkeypatch.setattr("sys.argv", [program])
    assert [commands.typed("run"), commands.typed("data")] == typed
