"""A test on the code itself: imports go one way, things stay small, and everything public says what it promises.

ARCHITECTURE.md has the picture and the reasons. A rule that turns out wrong is changed there and here together.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_CODE = {"var", "docs", "build", "dist"}

LAYERS = (
    {"worker", "starter", "callbacks", "demo", "bench"},
    {"cli"},
    {"engine"},
    {"workflows"},
    {"activities"},
    {"rails"},
    {"ledger"},
)
"""The import table: a module may import from its own package and from the layers below it, never upwards."""

STRANGERS = [("ledger", "rails"), ("rails", "ledger")]
"""Two packages that must not know each other, although one is below the other in the picture."""

NO_TEMPORAL = {"ledger", "rails"}

PURE = {
    "ledger/account.py", "ledger/approval.py", "ledger/books.py", "ledger/effects.py", "ledger/entries/__init__.py",
    "ledger/entries/entry.py", "ledger/entries/exchange.py", "ledger/entries/giving_back.py",
    "ledger/entries/reversal.py", "ledger/entries/reversible.py", "ledger/entries/split.py", "ledger/entries/target.py",
    "ledger/errors.py", "ledger/fingerprint.py", "ledger/keys.py", "ledger/limits.py", "ledger/money.py",
    "ledger/named.py", "ledger/notification.py", "ledger/obstacles.py", "ledger/operation.py", "ledger/operations.py",
    "ledger/payouts.py",
    "ledger/rejections.py", "ledger/rules.py", "ledger/settling.py", "ledger/transfer.py", "ledger/worked_out.py",
}  # fmt: skip  # a set is read as one thing
"""The rules of money: no database, no event loop, no clock. They may import each other and the standard library."""

JUDGED = {"ledger", "activities", "workflows", "engine", "cli"}

NOT_IN_PURE = {"sqlalchemy", "asyncio", "alembic", "aiosqlite", "asyncpg", "sqlite3", "time", "datetime", "random"}

LONGEST_FUNCTION = 50
LONGEST_MODULE = 300
LONGEST_TEST_DOCSTRING = 300

_SILENCED = re.compile(
    r"#\s*(noqa|type:\s*ignore|fmt:\s*(skip|off)|pragma:)|mark\.(skip|skipif|xfail)\b|pytest\.(skip|xfail|importorskip)\("
)
_WITH_A_REASON = re.compile(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]|fmt: skip)  # \w|reason=")

VAGUE_NAMES = {"utils", "common", "helpers", "shared", "models", "services", "core", "manager"}
ABBREVIATIONS = {"txn", "acct", "amt"}


@dataclass(frozen=True)
class Module:
    """One file of Python."""

    path: str
    tree: ast.Module
    lines: int

    @property
    def package(self) -> str:
        """The first part of its path, which is the layer it belongs to."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def is_test(self) -> bool:
        """Whether it is part of the tests, for which some rules do not hold."""
        return self.package == "tests"


@cache
def modules() -> tuple[Module, ...]:
    """Every file of Python in the project."""
    folders = [
        p for p in sorted(ROOT.iterdir()) if p.is_dir() and not p.name.startswith(".") and p.name not in NOT_CODE
    ]
    paths = [*sorted(ROOT.glob("*.py")), *(path for folder in folders for path in sorted(folder.rglob("*.py")))]
    sources = [(path, path.read_text(encoding="utf-8")) for path in paths]
    return tuple(
        Module(path.relative_to(ROOT).as_posix(), ast.parse(source), len(source.splitlines()))
        for path, source in sources
    )


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever in the file, with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else [f"{module.package}.{node.module or ''}"]
            yield from ((node.lineno, f"{name}.{alias.name}") for name in names for alias in node.names)


def nothing(found: list[str], rule: str, section: str) -> None:
    """Fail if anything was found, with the rule and where to read about it."""
    if found:
        listed = "\n  ".join(found)
        pytest.fail(f"{rule} See ARCHITECTURE.md, {section!r}.\n  {listed}", pytrace=False)


# --- imports --------------------------------------------------------------------------------------------------


def test_imports_go_one_way() -> None:
    """From the programs down to the ledger: whoever reads a lower layer needs to know nothing of a higher one."""
    depth = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    found = []
    for module in modules():
        for line, name in imports(module):
            target = name.partition(".")[0]
            if module.is_test or target == module.package or target not in depth | {"tests": -1}:
                continue
            upwards = target == "tests" or depth.get(module.package, -1) > depth[target]
            if upwards or (module.package, target) in STRANGERS:
                found.append(f"{module.path}:{line} imports {name}")
    nothing(found, "An import goes against the table.", "The import table")


def test_every_package_has_its_place_in_the_import_table() -> None:
    """A new top-level package or program must be put into the picture before it is used."""
    known = {package for layer in LAYERS for package in layer} | {"tests"}
    found = sorted({module.package for module in modules()} - known)
    nothing(found, "These are not in the import table.", "The import table")


def test_the_books_know_nothing_of_temporal() -> None:
    """The ledger and the rails must outlive the engine that calls them."""
    found = [
        f"{module.path}:{line} imports {name}"
        for module in modules()
        for line, name in imports(module)
        if module.package in NO_TEMPORAL and name.partition(".")[0] == "temporalio"
    ]
    nothing(found, "Temporal stays outside of the books.", "The import table")


def test_the_rules_of_money_are_pure() -> None:
    """No database, no event loop, no clock: the same state and the same request give the same answer for ever."""
    pure = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in PURE}
    found = []
    for module in modules():
        for line, name in imports(module) if module.path in PURE else ():
            inside = name.partition(".")[0] == "ledger"
            if name.partition(".")[0] in NOT_IN_PURE or (inside and name.rpartition(".")[0] not in pure):
                found.append(f"{module.path}:{line} imports {name}")
    nothing(found, "The rules of money do no I/O.", "The ledger: a pure core")


def test_the_pure_modules_are_there() -> None:
    """A module that was renamed must not fall out of the rule unnoticed."""
    found = sorted(PURE - {module.path for module in modules()})
    nothing(found, "These modules are named in tests/test_tidy.py, and are not there.", "The ledger: a pure core")


def test_the_oracle_is_independent() -> None:
    """A mistake in the rules must not be shared by the model that they are compared with."""
    found = [
        f"{module.path}:{line} imports {name}"
        for module in modules()
        for line, name in imports(module)
        if module.path == "tests/ledger/oracle.py" and name.partition(".")[0] == "ledger"
    ]
    nothing(found, "The oracle imports nothing of the ledger.", "Tests")


def test_the_invariants_are_independent() -> None:
    """What judges the engine by its rows must not take the engine's own word for what they mean."""
    found = [
        f"{module.path}:{line} imports {name}"
        for module in modules()
        for line, name in imports(module)
        if module.path.startswith("tests/faults/invariants/") and name.partition(".")[0] in JUDGED
    ]
    nothing(found, "The invariants import nothing of what they judge.", "Tests")


# --- size -----------------------------------------------------------------------------------------------------

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[Function]:
    """Every function of a file, also inside classes and other functions."""
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def test_functions_fit_on_a_screen() -> None:
    """The parent has the branches, the leaves are straight."""
    found = []
    for module in modules():
        for function in functions(module):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > LONGEST_FUNCTION:
                found.append(f"{module.path}:{function.lineno} {function.name} has {length} lines")
    nothing(found, f"A function has at most {LONGEST_FUNCTION} lines.", "Size")


def test_modules_fit_on_a_few_screens() -> None:
    """About 200 lines is the aim; a module that grows past the limit is two modules."""
    found = [f"{module.path} has {module.lines} lines" for module in modules() if module.lines > LONGEST_MODULE]
    nothing(found, f"A module has at most {LONGEST_MODULE} lines.", "Size")


# --- words ----------------------------------------------------------------------------------------------------


def test_every_module_opens_with_a_paragraph() -> None:
    """A stranger who opens a file reads first what it is for."""
    found = [module.path for module in modules() if not (ast.get_docstring(module.tree) or "").strip()]
    nothing(found, "A module opens with one paragraph that a stranger can use.", "Words")


def test_everything_public_says_what_it_promises() -> None:
    """Functions, classes and methods whose names do not begin with an underscore have a docstring."""
    found = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules()
        if not module.is_test
        for node in _public(module.tree)
        if not ast.get_docstring(node)
    ]
    nothing(found, "What is public has a docstring.", "Words")


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_every_test_is_a_sentence_with_a_short_paragraph() -> None:
    """The name says what happens, the docstring why it matters; together they are the specification."""
    found = []
    for module in modules():
        for function in functions(module):
            if not module.is_test or not function.name.startswith("test_"):
                continue
            said = ast.get_docstring(function) or ""
            if not said or "\n\n" in said or len(said) > LONGEST_TEST_DOCSTRING:
                found.append(f"{module.path}:{function.lineno} {function.name}")
    nothing(found, "A test has a docstring of one short paragraph.", "Words")


def test_whatever_is_silenced_or_skipped_says_why() -> None:
    """A check that is switched off names which one and, behind it, the reason."""
    found = [
        f"{module.path}:{number} {line.strip()}"
        for module in modules()
        for number, line in enumerate((ROOT / module.path).read_text(encoding="utf-8").splitlines(), 1)
        if _SILENCED.search(line) and not _WITH_A_REASON.search(line)
    ]
    nothing(found, "This switches a check off and does not say why.", "Size")


def test_no_file_has_a_name_that_says_nothing() -> None:
    """A file called `utils` is where things go that nobody has understood yet."""
    found = [
        module.path
        for module in modules()
        if VAGUE_NAMES & {part.removesuffix(".py") for part in module.path.split("/")}
    ]
    nothing(found, f"None of {', '.join(sorted(VAGUE_NAMES))}.", "Words")


def test_words_are_not_abbreviated() -> None:
    """One meaning each, written out: transaction, account, amount."""
    found = [
        f"{module.path}:{line} {name}"
        for module in modules()
        for line, name in _identifiers(module.tree)
        if ABBREVIATIONS & set(name.lower().split("_"))
    ]
    nothing(found, f"None of {', '.join(sorted(ABBREVIATIONS))} in a name.", "Words")


def _identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)):
                yield node.lineno, name
