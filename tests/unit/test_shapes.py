"""The shapes of Stripe's objects have exactly the fields that the package reads.

mypy reports `invoice["totl"]`, but neither `invoice.get("totl")` nor `"totl" in invoice`. So these tests take the types
that mypy has inferred, and look up each field that is read in the shape of the object that it is read from.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mypy import build
from mypy.config_parser import parse_config_file
from mypy.modulefinder import BuildSource
from mypy.nodes import CallExpr, ComparisonExpr, Expression, IndexExpr, MemberExpr, RefExpr, StrExpr
from mypy.options import Options
from mypy.types import Instance, Type, TypedDictType, TypeVarType, UnionType, get_proper_type, get_proper_types
from stripe._object_classes import OBJECT_CLASSES

from tests.unit.stripe_fields import hints_of, inside, known, written_type

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/stripe_to_segment/python"
SHAPES = PACKAGE / "stripe_to_segment/stripe_side/shapes.py"
MODULE = "stripe_to_segment.stripe_side.shapes."
# What the readers of all objects read of one.
FIELDS = "stripe_to_segment.stripe_side.fields."
FIELD_OF = {f"{FIELDS}listed": "data", f"{FIELDS}metadata_of": "metadata", f"{FIELDS}reference": "id"}
# Stripe's names of its objects, by the names of their shapes. A line of an invoice and one of a session are read alike.
KINDS = {"".join(map(str.capitalize, re.split("[._]", kind))): kind for kind in OBJECT_CLASSES} | {"Line": "line_item"}
type Read = tuple[tuple[TypedDictType, ...], str]


@cache
def classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(SHAPES.read_text()).body if isinstance(node, ast.ClassDef)}


def own_fields(name: str) -> dict[str, int]:
    """The fields that a shape declares, each with its line."""
    return {
        line.target.id: line.lineno
        for line in classes()[name].body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def lineage(name: str) -> list[str]:
    """A shape and those that it extends."""
    bases = [base.id for base in classes()[name].bases if isinstance(base, ast.Name) and base.id != "TypedDict"]
    return [name, *(each for base in bases for each in lineage(base))]


def objects() -> list[str]:
    """The shapes of objects. Their docstrings name a page of Stripe's reference; hashes inside of objects have none."""
    page = re.compile(r"docs\.stripe\.com/api/\S+/object")
    return [name for name, node in classes().items() if page.search(ast.get_docstring(node) or "")]


@pytest.fixture(scope="module")
def typed() -> dict[Expression, Type]:
    """The expressions of the package with their types. Other packages count as Any, which saves a minute."""
    if os.environ.get("UPDATE_GOLDEN"):
        new = sorted(undeclared())
        SHAPES.write_text("".join([SHAPES.read_text(), *map(declaration, new)]))
        classes.cache_clear()
    options = Options()
    parse_config_file(options, lambda: None, str(ROOT / "pyproject.toml"))
    options.incremental, options.export_types, options.follow_imports = False, True, "skip"
    paths = sorted((PACKAGE / "stripe_to_segment").rglob("*.py"))
    names = [".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    found = build.build([BuildSource(str(path), name) for path, name in zip(paths, names, strict=True)], options).types
    assert len(found) > 50_000, "mypy has to have inferred types"
    return found


def hashes(of: Type | None) -> tuple[TypedDictType, ...]:
    """The typed dictionaries among the types that a value may have, none where it may be any hash."""
    kind = get_proper_type(of)
    if isinstance(kind, UnionType):
        items = get_proper_types(kind.items)
        any_hash = any(isinstance(each, Instance) and each.type.fullname == "builtins.dict" for each in items)
        return () if any_hash else tuple(each for item in items for each in hashes(item))
    if isinstance(kind, TypeVarType):
        return hashes(kind.upper_bound)
    return (kind,) if isinstance(kind, TypedDictType) else ()


def within(holders: tuple[TypedDictType, ...], step: Expression) -> tuple[TypedDictType, ...]:
    """The hashes in a field of these hashes, in any field where the step is not written out."""
    return tuple(
        each
        for holder in holders
        for name, kind in holder.items.items()
        if not isinstance(step, StrExpr) or name == step.value
        for each in hashes(kind)
    )


def reads(typed: dict[Expression, Type]) -> Iterator[Read]:
    """Each field that is read by its name, with the typed dictionaries it may be read from; none if it is untyped."""
    for expression in typed:
        match expression:
            case CallExpr(callee=MemberExpr(name="get" | "pop" | "setdefault") as method, args=[StrExpr() as key, *_]):
                yield hashes(typed.get(method.expr)), key.value
            case CallExpr(callee=RefExpr(fullname=name), args=[first, *steps]) if name == f"{FIELDS}dig":
                holders = hashes(typed.get(first))
                for step in steps:
                    if isinstance(step, StrExpr):
                        yield holders, step.value
                    holders = within(holders, step)
            case CallExpr(callee=RefExpr(fullname=name), args=[first, *_]) if field := FIELD_OF.get(name):
                yield tuple(each for each in hashes(typed.get(first)) if field in each.items), field
            case IndexExpr(base=base, index=StrExpr() as key):
                yield hashes(typed.get(base)), key.value
            case ComparisonExpr(operators=["in" | "not in"], operands=[StrExpr() as key, holder]):
                yield hashes(typed.get(holder)), key.value


def constants() -> set[str]:
    """The texts in tuples, sets and tables, by which fields are read in a loop."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    collections = [
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Tuple | ast.Set | ast.Dict)
    ]
    return {
        node.value
        for each in collections
        for node in (each.values if isinstance(each, ast.Dict) else each.elts)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def undeclared() -> set[str]:
    """The shapes of objects that the package names and that are not declared."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    named = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    shapes = {each.attr for each in named if isinstance(each.value, ast.Name) and each.value.id == "shapes"}
    return (shapes & KINDS.keys()) - classes().keys()


def declaration(name: str) -> str:
    """The shape of an object of Stripe's that is new here."""
    page = f"https://docs.stripe.com/api/{KINDS[name].replace('.', '/')}s/object"
    return f'\n\nclass {name}(TypedDict, total=False):\n    """{page}."""\n\n    id: str\n'


def types_of(name: str) -> dict[str, object]:
    """The fields that a shape can have, with their types in Stripe's library: of a hash by the fields that hold it."""
    if name in KINDS:
        return dict.fromkeys(known(KINDS[name])) | hints_of(KINDS[name])
    holders = [
        (holder, line.target.id)
        for holder, node in classes().items()
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(line.annotation))
    ]
    return {name: one for holder, field in holders for name, one in inside(types_of(holder).get(field)).items()}


def add(name: str, field: str) -> None:
    """Add a field to a shape, with its type in Stripe's library."""
    lines = SHAPES.read_text().splitlines()
    lines.insert(max(own_fields(name).values()), f"    {field}: {written_type(types_of(name)[field])}")
    SHAPES.write_text("\n".join([*lines, ""]))
    classes.cache_clear()


@pytest.mark.tool
def test_every_field_that_is_read_is_one_of_its_object(typed: dict[Expression, Type]) -> None:
    """`make golden` adds what Stripe's library knows of the object, and declares one that is new."""
    slips = {
        (key, *sorted(holder.fallback.type.name for holder in holders))
        for holders, key in reads(typed)
        if holders and not any(key in holder.items for holder in holders)
    }
    if os.environ.get("UPDATE_GOLDEN"):
        for field, name, *_ in sorted(slips):
            if field in types_of(name):
                add(name, field)
    else:
        said = [f"{' or '.join(names)} has no {field}" for field, *names in sorted(slips)]
        assert not said, f"{said}: if Stripe has it, `make golden` adds it to stripe_side/shapes.py"


@pytest.mark.tool
def test_every_field_of_a_shape_is_read(typed: dict[Expression, Type]) -> None:
    """From that shape; or by a name in a table, or from an object of unknown kind."""
    read, untyped = Counter[tuple[str, str]](), constants()
    for holders, key in reads(typed):
        if not holders:
            untyped.add(key)
        for holder in holders:
            if (name := holder.fallback.type.fullname).startswith(MODULE):
                read.update((each, key) for each in lineage(name.removeprefix(MODULE)))
    unread = [
        f"{name}.{field}"
        for name in classes()
        for field in own_fields(name)
        if not read[name, field] and field not in untyped
    ]
    assert not unread, f"{unread}: nothing reads them, so take them out of stripe_side/shapes.py"


@pytest.mark.parametrize("name", objects())
def test_every_field_of_a_shape_is_one_of_stripes(name: str) -> None:
    """Of its newest version, unless a comment says where else the field comes from."""
    lines = SHAPES.read_text().splitlines()
    ours = {field: lines[at - 1] for each in lineage(name) for field, at in own_fields(each).items()}
    assert {field for field, line in ours.items() if "#" not in line} <= known(KINDS[name])


def test_an_object_that_is_new_here_is_declared_with_its_page() -> None:
    """The first event of an object took seven files: its shape and a list of this test were written by hand."""
    told = declaration("CheckoutSession")
    assert "class CheckoutSession(TypedDict" in told
    assert "https://docs.stripe.com/api/checkout/sessions/object" in told
    assert undeclared() == set()


def test_a_field_of_a_hash_has_its_type_in_stripes_library() -> None:
    """Only fields of objects were added, and the country of a card failed with a pair of names and no advice."""
    assert written_type(types_of("CardDetails")["country"]) == "str | None"
    assert written_type(types_of("EvidenceDetails")["submission_count"]) == "int"
    assert "totl" not in types_of("TotalDetails")
