"""BackupAndRestore: an interrupted training goes on where it was."""

from __future__ import annotations

import json

import pytest
from callback_fakes import FakeModel

from nngraph.callbacks import BackupAndRestore


class Interrupted(Exception):
    pass


def fit(directory, epochs=4, batches=3, stop_after=None, **options):
    """Train in make-believe and return (model, the steps run); the state counts all steps ever run."""
    model, callback, steps = FakeModel(), BackupAndRestore(directory, **options), []
    callback.set_model(model)
    callback.set_params({"epochs": epochs, "steps": batches, "verbose": 0})
    callback.on_train_begin()
    first_batch = model._initial_batch or 0
    for epoch in range(model._initial_epoch or 0, epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(first_batch, batches):
            model.state += 1
            steps.append((epoch, batch))
            callback.on_train_batch_end(batch, {})
            if len(steps) == stop_after:
                return model, steps
        first_batch = 0
        callback.on_epoch_end(epoch, {})
    callback.on_train_end()
    return model, steps


def test_goes_on_with_the_epoch_that_was_not_finished(tmp_path):
    fit(tmp_path, stop_after=7)
    model, steps = fit(tmp_path)
    assert steps[0] == (2, 0) and len(steps) == 6
    # Two whole epochs were saved; the third is trained anew.
    assert model.state == 12


def test_goes_on_within_an_epoch(tmp_path):
    fit(tmp_path, save_freq=2, stop_after=5)
    model, steps = fit(tmp_path, save_freq=2)
    assert steps[0] == (1, 1)
    assert model.state == 12


def test_a_backup_due_at_the_last_batch_waits_for_the_end_of_the_epoch(tmp_path):
    fit(tmp_path, save_freq=3, stop_after=6)
    # The second epoch has not come to its end.
    assert json.loads((tmp_path / "training.json").read_text())["backups"] == [
        {"file": "epoch1-batch0.onnx", "epoch": 1, "batch": 0}
    ]
    model, steps = fit(tmp_path, save_freq=3)
    assert steps[0] == (1, 0) and model.state == 12


def test_deletes_its_files_and_no_others_at_the_end(tmp_path):
    fit(tmp_path / "a" / "b")
    assert not (tmp_path / "a" / "b").exists() and (tmp_path / "a").exists()
    (tmp_path / "notes.txt").write_text("mine")
    fit(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


def test_may_keep_its_files(tmp_path):
    fit(tmp_path, delete_checkpoint=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch4-batch0.onnx", "training.json"]
    model, steps = fit(tmp_path, delete_checkpoint=False, epochs=6)
    assert steps[0] == (4, 0) and model.state == 18


def test_falls_back_on_the_backup_before(tmp_path):
    fit(tmp_path, double_checkpoint=True, stop_after=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch2-batch0.onnx",
        "epoch3-batch0.onnx",
        "training.json",
    ]
    (tmp_path / "epoch3-batch0.onnx").write_text("{half")
    _, steps = fit(tmp_path, double_checkpoint=True)
    assert steps[0] == (2, 0)


def test_dying_while_saving_leaves_the_old_backup(tmp_path, monkeypatch):
    fit(tmp_path, stop_after=4)
    before = json.loads((tmp_path / "training.json").read_text())

    def save(self, path):
        with open(path, "w") as file:
            file.write("{ha")
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(FakeModel, "save", save)
        with pytest.raises(Interrupted):
            fit(tmp_path)
    assert json.loads((tmp_path / "training.json").read_text()) == before
    model, steps = fit(tmp_path)
    assert steps[0] == (1, 0) and model.state == 12


def test_a_backup_that_cannot_be_read_is_an_error(tmp_path):
    fit(tmp_path, stop_after=4)
    (tmp_path / "epoch1-batch0.onnx").write_text("{half")
    with pytest.raises(ValueError, match=r"cannot restore the backup in .* Delete that directory to begin anew"):
        fit(tmp_path)
    (tmp_path / "training.json").write_text("[]")
    with pytest.raises(ValueError, match=r"training\.json is not a backup written by BackupAndRestore"):
        fit(tmp_path)


def test_a_backup_names_files_of_its_own_directory_only(tmp_path):
    outside = tmp_path / "outside.onnx"
    outside.write_text("5")
    inside = tmp_path / "backup"
    inside.mkdir()
    (inside / "training.json").write_text(
        json.dumps({"backups": [{"file": "../outside.onnx", "epoch": 1, "batch": 0}]})
    )
    with pytest.raises(ValueError, match="cannot restore"):
        fit(inside)
    assert outside.exists()


@pytest.mark.parametrize(("directory", "options"), [("", {}), ("x", {"save_freq": 0}), ("x", {"save_freq": "batch"})])
def test_wrong_arguments(directory, options):
    with pytest.raises(ValueError, match=r"BackupAndRestore: (backup_dir is empty|save_freq must be)"):
        BackupAndRestore(directory, **options)
