"""A table of one's own: read as it stands, or refused with the line that is wrong."""

import json

import pytest

from hsae.concepts import table
from hsae.errors import UserError


@pytest.fixture
def load(tmp_path):
    def load(content, name="concepts.csv", n=None):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return table.load(table.Settings(name="table", path=str(file), n=n), seed=0)

    return load


def test_rows_may_stand_in_any_order_and_have_several_parents(load):
    pets = load(
        "name,id,parents,frequency\npug,x:pug,x:dog|x:pet,3\ndog,x:dog,x:animal,\nanimal,x:animal,,\npet,x:pet,,\n"
    )
    assert [concept.id for concept in pets] == ["x:animal", "x:dog", "x:pet", "x:pug"]
    assert pets["x:pug"].parents == ("x:dog", "x:pet") and pets["x:pug"].depth == 2
    assert pets["x:pug"].frequency == 3.0 and pets["x:dog"].frequency == 0.0


def test_csv_and_json_say_the_same(load):
    rows = [
        {"id": "x:animal", "name": "animal", "gloss": 'it moves, "alone"'},
        {"id": "x:dog", "name": "dog", "parents": ["x:animal"], "frequency": 2},
    ]
    lines = [
        "\ufeffid,name,gloss,parents,frequency",
        'x:animal,animal,"it moves, ""alone""",,',
        "x:dog,dog,,x:animal,2",
    ]
    assert load(json.dumps(rows), "concepts.json").concepts == load("\r\n".join(lines)).concepts


def test_a_cell_may_run_over_several_lines(load):
    assert load('id,name,gloss\na,ant,"small\nand busy"\nb,bee,\n')["a"].gloss == "small\nand busy"


def test_the_most_frequent_come_first_and_bring_their_parents(load):
    text = "id,name,parents,frequency\nd,d,,1\na,a,,0\nb,b,,5\nc,c,a,9\n"
    assert [concept.id for concept in load(text, n=3)] == ["a", "b", "c"]


def test_without_frequencies_the_order_of_the_file_decides(load):
    assert [concept.id for concept in load("id,name\nz,z\ny,y\nx,x\n", n=2)] == ["z", "y"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,name\na,a\nb,\n", "line 3: name must be a text"),
        ("id,name\na,a\n\nb\n", "line 4: name must be a text"),
        ("id,name\na,a\nb,b\na,c\n", "line 4: the id a already stands in .*line 2"),
        ("id,name,parents\na,a,\nb,b,q\n", "line 3: the parent q of b is not in the table"),
        ("id,name,parents\na,a,b\nb,b,a\n", "line 3: the parents run in a circle: a > b > a"),
        ("id,name,parents\na,a,a\n", "line 2: the parents run in a circle: a > a"),
        ("id,name,frequency\na,a,often\n", "line 2: frequency must be a number"),
        ("id,name,frequency\na,a,-1\n", "line 2: frequency must be a number"),
        ("id,name,frequency\na,a,nan\n", "line 2: frequency must be a number"),
        ("id,name\na,b,c\n", "line 2: more cells"),
        ('id,name\na,"b\n', "line 2: unexpected end"),
        ("id,parent\na,b\n", "line 1: the columns are id, parent.\nid and name must be there"),
        ("id,name,name\na,b,c\n", "line 1: the columns are id, name, name"),
        ("", "line 1: the columns are none"),
        ("id,name\n", "holds no concepts"),
        (b"id,name\na,a\nb,\xff\n", "line 3: this is not UTF-8"),
    ],
)
def test_a_fault_in_a_csv_is_named_with_its_line(load, text, said):
    with pytest.raises(UserError, match=said):
        load(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n{"id": "a",\n"name" "a"}]', "line 3: this is not JSON"),
        ('{"id": "a"}', "must hold a list"),
        ('[{"id": "a", "name": "a"}, 7]', "entry 2: found 7"),
        ('[{"id": "a", "label": "a"}]', "entry 1: the columns are id, label"),
        ('[{"id": 3, "name": "a"}]', "entry 1: id must be a text, found 3"),
        ('[{"id": "a", "name": "a", "parents": "b"}]', "entry 1: parents must be a list"),
        ('[{"id": "a", "name": "a", "frequency": [1]}]', "entry 1: frequency must be a number"),
        ("[]", "holds no concepts"),
    ],
)
def test_a_fault_in_json_is_named_with_its_entry(load, text, said):
    with pytest.raises(UserError, match=said):
        load(text, "concepts.json")


def test_a_missing_file_or_path_says_what_to_type(tmp_path):
    for path, said in (
        (None, "concepts.path="),
        (str(tmp_path / "no.csv"), "no such file"),
        (__file__, "a .csv or"),
    ):
        with pytest.raises(UserError, match=said):
            table.load(table.Settings(name="table", path=path, n=None), seed=0)


def test_the_fingerprint_follows_the_content_not_the_path(tmp_path):
    files = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for file, text in zip(files, ("id,name\na,a\n", "id,name\na,a\n", "id,name\na,b\n"), strict=True):
        file.write_text(text)
    a, b, c = (table.fingerprint(table.Settings(name="table", path=str(file), n=None)) for file in files)
    assert a == b != c
