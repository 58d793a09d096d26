"""The pictures of accuracy matrices, from a made-up record."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.text import Text

from cl_bench.reports.figures.heat_maps import draw, heat_maps
from tests.reports.small_records import record


@pytest.mark.parametrize("tasks", [1, 3, 20, 50, 300])
def test_heat_maps_are_drawn_for_every_number_of_tasks(tmp_path, tasks):
    paths = heat_maps(record(tasks), tmp_path)
    assert [path.name for path in paths] == ["matrix_merged.png", "matrix_finetuned.png"]
    picture = matplotlib.image.imread(paths[0])
    assert picture.std() > 0.05 and min(picture.shape[:2]) > 200


@pytest.mark.parametrize("kinds", [("task_agnostic", "task_aware"), ("task_agnostic",)])
def test_titles_lie_within_the_picture(kinds):
    one = record(2)
    matrix = {kind: one["matrix"][kind] if kind in kinds else None for kind in one["matrix"]}
    title = "Photographs of the zoo 2025 (class-incremental, 3 tasks) · sequential · continual_task_arithmetic, merged"
    for shown in (matrix, {kind: one["matrix"]["task_aware"] for kind in one["matrix"]}):
        figure = draw(shown, title, one)
        figure.draw_without_rendering()
        texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        boxes = [text.get_window_extent() for text in texts if text.get_fontsize() > 8]
        assert len(boxes) >= 2 and all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(box.y1 <= figure.bbox.y1 for box in boxes)


def test_heat_maps_show_each_value_in_its_cell(tmp_path):
    values = {"task_agnostic": [[0.0, 0.0], [100.0, 0.0], [100.0, 100.0]], "task_aware": [[50.0, 50.0]] * 3}
    (path,) = heat_maps(record(2, finetuned=False, matrix=values), tmp_path)
    picture = matplotlib.image.imread(path)[..., :3]
    yellow = (np.abs(picture - np.array([0.995, 0.909, 0.218])) < 0.02).all(axis=-1)
    blue = (np.abs(picture - np.array([0.0, 0.135, 0.305])) < 0.02).all(axis=-1)
    left = slice(0, picture.shape[1] // 2)
    rows, _ = np.nonzero(yellow[:, left])
    assert yellow[:, left].sum() == pytest.approx(blue[:, left].sum(), rel=0.25)  # three cells each
    assert rows.mean() > np.nonzero(blue[:, left])[0].mean()


def test_joint_and_unevaluated_matrices_are_drawn(tmp_path):
    matrix = {kind: [[1.0, 2.0, 3.0], [None, None, None]] for kind in ("task_agnostic", "task_aware")}
    assert len(heat_maps(record(joint=True, finetuned=False, matrix=matrix), tmp_path)) == 1


def test_a_run_that_learned_nothing_is_drawn(tmp_path):
    matrix = {kind: [[1.0, 2.0, 3.0]] for kind in ("task_agnostic", "task_aware")}
    assert len(heat_maps(record(finetuned=False, matrix=matrix, training=[]), tmp_path)) == 1
