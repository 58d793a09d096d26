"""What cannot be written into a record is found before any process starts."""

import pytest

from cl_bench.launching.launch import launch
from cl_bench.runtime.errors import UserError


@pytest.mark.parametrize(("setting", "message"), [(b"bytes", "method is a bytes"), (float("nan"), "method is nan")])
def test_settings_are_refused_before_several_processes_are_started(configure, tmp_path, setting, message):
    config = configure("lightning=cpu", "lightning.devices=2")
    config["method"] = setting
    with pytest.raises(UserError, match=f"^{message}"):
        launch(config, tmp_path)
    assert not (tmp_path / "resolved.json").exists()


def test_a_message_with_a_name_that_is_no_text_can_be_written(tmp_path):
    (tmp_path / "error.txt").write_text(str(UserError("caf\udce9 holds no images")))
    assert (tmp_path / "error.txt").read_text() == r"caf\udce9 holds no images"
