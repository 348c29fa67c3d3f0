"""IDX and CSV files: what is in them, and what is said of those that are broken."""

import gzip
import struct

import numpy as np
import pytest

from tinygrad_lab.data import read_csv, read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array, code):
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_holds_its_array(tmp_path, kind, pack):
    array = np.random.default_rng(0).uniform(-100, 100, (3, 2, 4)).astype(kind)
    (path := tmp_path / "a").write_bytes(pack(idx(array, CODES[kind])))
    result = read_idx(path)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == kind and result.dtype.isnative and result.flags.writeable


WHOLE = idx(np.arange(6, dtype="u1").reshape(2, 3), 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"GIF89a", "no IDX file"),
        (WHOLE[:-1], r"uint8\(2, 3\), which makes 18 bytes, and has 17"),
        (WHOLE + b"x", "has 19"),
        (WHOLE[:9], "within the 2 sizes"),
        (gzip.compress(WHOLE)[:-9], "gzip, and broken"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "not complete"),
    ],
)
def test_an_idx_file_that_is_broken(tmp_path, content, message):
    (path := tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def csv(folder, text, **options):
    (path := folder / "a.csv").write_text(text, encoding="utf-8")
    return read_csv(path, **options)


def test_a_table_of_numbers(tmp_path):
    table = csv(tmp_path, "\ufeffa, b\n1,2\n\n3,-4e1\n", dtype=np.float32)
    assert table.x.tolist() == [[1, 2], [3, -40]] and table.x.dtype == np.float32
    assert (table.y, table.columns, table.classes) == (None, ["a", "b"], [])


def test_a_target_of_names_and_one_of_numbers(tmp_path):
    text = "5.1;Iris-setosa;1\n4.9;Iris-virginica;2\n5.0;Iris-setosa;3\n"
    by_place = csv(tmp_path, text, target=1, header=False, delimiter=";")
    assert by_place.y.tolist() == [0, 1, 0] and by_place.y.dtype.kind == "i"
    assert by_place.classes == ["Iris-setosa", "Iris-virginica"]
    assert by_place.x.shape == (3, 2)
    last = csv(tmp_path, "a,b\n1,2\n3,4\n", target=-1)
    assert (last.y.tolist(), last.y.dtype, last.columns) == ([2, 4], np.float64, ["a"])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n3\n", {}, "line 3: 1 cells .*, and 2 in line 1"),
        ("a,b\n1,2\n\n3,x\n", {}, "line 4, column 'b': 'x' is no number"),
        ("a,b\n1,\n", {}, "line 2, column 'b': '' is no number"),
        ("a,b\n1,2\n", {"target": "c"}, "no column 'c': there are a, b"),
        ("a,b\n1,2\n", {"target": 2}, "no column 2"),
        ("1,2\n3,4\n", {}, "header=False"),
        ("a,b\n", {}, "no line of numbers"),
        ("", {"header": False}, "no line of numbers"),
        ("a,b\n1,2.5\n", {"dtype": int}, "'2.5' is no number of int64"),
    ],
)
def test_a_csv_file_that_is_broken(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        csv(tmp_path, text, **options)


def test_quotes_and_lines_in_them(tmp_path):
    with pytest.raises(ValueError, match="line 4, column 'b'"):
        csv(tmp_path, 'a,b\n1,"2"\n"3\n",x\n')
