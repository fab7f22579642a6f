"""Elements are taken out of JSON text, and every other byte stays."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from fhir_mapping import text
from fhir_mapping.pruning import SUBSETTED, Path, without

pytestmark = pytest.mark.fast

_TAG = json.dumps(SUBSETTED, separators=(",", ":"))


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        ([("l", 0)], '{ "meta":{"v":"1"TAG} ,\n "l":[ {"r":2},{ "r" : 3 } ], "n": 1.50 }'),
        ([("l", 2)], '{ "meta":{"v":"1"TAG} ,\n "l":[ {"r":1.0}, {"r":2} ], "n": 1.50 }'),
        ([("l", 0), ("l", 2)], '{ "meta":{"v":"1"TAG} ,\n "l":[ {"r":2} ], "n": 1.50 }'),
        ([("l", 1), ("l", 2)], '{ "meta":{"v":"1"TAG} ,\n "l":[ {"r":1.0} ], "n": 1.50 }'),
        ([("l",), ("l", 1)], '{ "meta":{"v":"1"TAG} ,\n "n": 1.50 }'),
        ([("n",)], '{ "meta":{"v":"1"TAG} ,\n "l":[ {"r":1.0}, {"r":2},{ "r" : 3 } ] }'),
        ([("l",), ("n",)], '{ "meta":{"v":"1"TAG} }'),
    ],
)
def test_what_stays_stays_byte_for_byte(paths: list[Path], left: str) -> None:
    body = '{ "meta":{"v":"1"} ,\n "l":[ {"r":1.0}, {"r":2},{ "r" : 3 } ], "n": 1.50 }'
    assert without(body.encode(), paths).decode() == left.replace("TAG", f',"tag":[{_TAG}]')


@pytest.mark.parametrize(
    ("meta", "tagged"),
    [
        ('{"tag": [ {"code":"x"} ]}', '{"tag": [ {"code":"x"},TAG ]}'),
        ('{"tag":[{"code":"x"}],"v":1}', '{"tag":[{"code":"x"},TAG],"v":1}'),
        ("{}", '{"tag":[TAG]}'),
    ],
)
def test_the_tag_goes_behind_those_that_are_there(meta: str, tagged: str) -> None:
    body = f'{{"a":1,"meta":{meta},"b":2}}'
    assert without(body.encode(), [("a",)]).decode() == f'{{"meta":{tagged.replace("TAG", _TAG)},"b":2}}'


def test_whatever_goes_of_whatever_there_is() -> None:
    chance = random.Random(7)
    for _ in range(400):
        resource = {"meta": {"versionId": "1"}} | {name: _drawn(chance, 4) for name in 'abc\\ué"'}
        paths = [path for path in _places(resource) if path[0] != "meta" and chance.random() < 0.25]
        expected = copy.deepcopy(resource)
        for path in sorted(paths, key=len, reverse=True):
            _take(expected, path)
        if not _full(expected):
            continue
        layout = json.dumps(resource, indent=chance.choice((None, 1, 4)), ensure_ascii=chance.random() < 0.5)
        left = text.kept(without(layout.encode(), paths))
        assert left.pop("meta") == {"versionId": "1", "tag": [SUBSETTED]}
        expected.pop("meta")
        assert json.loads(json.dumps(left)) == _without_marks(expected)


def _drawn(chance: random.Random, levels: int) -> Any:
    draw = chance.random()
    if not levels or draw < 0.3:
        return chance.choice((1, True, 'a "quoted" } text', "ü,[", ""))
    if draw < 0.65:
        return [_drawn(chance, levels - 1) for _ in range(chance.randint(1, 4))]
    return {name: _drawn(chance, levels - 1) for name in chance.sample("abcdé", chance.randint(1, 4))}


def _places(node: Any, path: Path = ()) -> list[Path]:
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [each for name, value in parts for each in ((*path, name), *_places(value, (*path, name)))]


_GONE = object()


def _take(node: Any, path: Path) -> None:
    for step in path[:-1]:
        node = node[step]
        if node is _GONE:
            return
    node[path[-1]] = _GONE


def _without_marks(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_marks(value) for name, value in node.items() if value is not _GONE}
    return [_without_marks(each) for each in node if each is not _GONE] if isinstance(node, list) else node


def _full(node: Any) -> bool:
    """Whether nothing was left empty: that is for the caller to see to."""
    if not isinstance(node, dict | list):
        return True
    parts = list(node.values()) if isinstance(node, dict) else node
    kept = [each for each in parts if each is not _GONE]
    return bool(kept) and all(_full(each) for each in kept)
