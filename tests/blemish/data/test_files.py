"""Folders and files appear whole or not at all."""

import pytest

from blemish.data.files import atomic, atomic_folder, escape_spreadsheet


def test_a_folder_replaces_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "model"
    with atomic_folder(path) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(path) as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert (path / "a").read_text() == "old"
    with atomic_folder(path) as folder:
        (folder / "b").write_text("new")
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "b"]


def test_a_file_appears_whole_with_the_rights_of_any_other(tmp_path):
    (tmp_path / "other").write_text("x")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    with atomic(tmp_path / "a") as temporary:
        temporary.touch(0o600)
        temporary.write_text("new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_is_escaped(text):
    assert escape_spreadsheet(text) == f"'{text}" and escape_spreadsheet(f"1{text}") == f"1{text}"
