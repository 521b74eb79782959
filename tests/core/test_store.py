"""The published store: whole generations, readers never in the way, damage seen."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import duckdb
import pytest

from daybook.core import store as store_module
from daybook.core.errors import LockedError, StorageError
from daybook.core.store import (
    KEPT_GENERATIONS,
    CorruptStoreError,
    EmptyStoreError,
    NewerStoreError,
    Schema,
    Store,
    StoreWarning,
)


def create(connection):
    connection.execute("CREATE TABLE notes (n INTEGER, text VARCHAR)")


SCHEMA = Schema(1, create)


def note(n: int):
    return lambda connection: connection.execute("INSERT INTO notes SELECT ?, repeat('x', 40) FROM range(200)", [n])


def notes(connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT DISTINCT n FROM notes ORDER BY n").fetchall()]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, SCHEMA)


def test_an_empty_store_says_so(store):
    assert store.newest() is None
    assert store.verified() is None
    with pytest.raises(EmptyStoreError, match="no generation was published yet"):
        store.read(notes)


def test_each_publication_is_a_new_generation(store):
    assert [store.publish(note(n)).number for n in (1, 2, 3)] == [1, 2, 3]
    assert store.newest().path.name == "daybook-000003.duckdb"
    assert store.read(notes) == [1, 2, 3]


def test_only_generations_seals_and_the_lock_are_left(store, tmp_path):
    store.publish(note(1))
    store.publish(note(2))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        ".lock", "daybook-000001.duckdb", "daybook-000001.sha256", "daybook-000002.duckdb", "daybook-000002.sha256",
    ]


def test_the_seal_is_what_sha256sum_checks(store):
    generation = store.publish(note(1))
    checked = subprocess.run(["sha256sum", "-c", "daybook-000001.sha256"], cwd=generation.path.parent, check=False)
    assert checked.returncode == 0


def test_old_generations_are_pruned(store):
    for n in range(KEPT_GENERATIONS + 3):
        store.publish(note(n))
    assert len(list(store.folder.glob("*.duckdb"))) == KEPT_GENERATIONS
    assert len(list(store.folder.glob("*.sha256"))) == KEPT_GENERATIONS
    assert store.newest().number == KEPT_GENERATIONS + 3


def test_a_failing_transaction_leaves_everything_as_it_was(store):
    store.publish(note(1))
    before = sorted((path.name, path.stat().st_size) for path in store.folder.iterdir())

    def fail(connection):
        note(2)(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.publish(fail)
    assert sorted((path.name, path.stat().st_size) for path in store.folder.iterdir()) == before
    assert store.read(notes) == [1]
    assert store.publish(note(3)).number == 2


def test_a_reader_held_open_does_not_block_publishing_and_keeps_its_view(store):
    store.publish(note(1))

    def reading(connection):
        first = notes(connection)
        for n in range(2, KEPT_GENERATIONS + 4):
            store.publish(note(n))
        return first, notes(connection)

    assert store.read(reading) == ([1], [1])
    assert len(store.read(notes)) == KEPT_GENERATIONS + 3


def test_a_reader_can_not_write_or_reach_other_files(store, tmp_path):
    store.publish(note(1))
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        store.read(note(2))
    for statement in (
        f"FROM '{tmp_path}/other.csv'", f"ATTACH '{tmp_path}/b.duckdb'", f"COPY notes TO '{tmp_path}/c.csv'",
        "INSTALL httpfs", "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            store.read(lambda connection, statement=statement: connection.execute(statement))


def test_connections_are_held_to_their_share(tmp_path):
    store = Store(tmp_path, SCHEMA, memory_limit="256MB", threads=1)
    names = ("memory_limit", "threads", "temp_directory", "autoload_known_extensions", "autoinstall_known_extensions")
    store.publish(note(1))
    found = store.read(lambda connection: {
        name: str(connection.execute(f"SELECT current_setting('{name}')").fetchone()[0]) for name in names
    })
    assert found["threads"] == "1"
    assert found["memory_limit"].startswith("244")
    assert found["temp_directory"] == str(tmp_path / "store" / "tmp")
    assert found["autoload_known_extensions"] == found["autoinstall_known_extensions"] == "False"
    version = store.read(lambda connection: connection.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal").fetchone()[0])
    assert version.startswith("v1.5.0")


def test_a_second_writer_is_refused_while_the_first_publishes(store):
    entered, release = threading.Event(), threading.Event()

    def slow(connection):
        entered.set()
        release.wait(10)

    writer = threading.Thread(target=store.publish, args=(slow,))
    writer.start()
    try:
        assert entered.wait(10)
        with pytest.raises(LockedError, match="another process is publishing"):
            Store(store.folder.parent, SCHEMA).publish(note(2), timeout_s=0.1)
    finally:
        release.set()
        writer.join()


def test_a_second_writer_waits_its_turn(store):
    entered = threading.Event()

    def slow(connection):
        entered.set()
        time.sleep(0.3)
        note(1)(connection)

    writer = threading.Thread(target=store.publish, args=(slow,))
    writer.start()
    assert entered.wait(10)
    generation = Store(store.folder.parent, SCHEMA).publish(note(2), timeout_s=20)
    writer.join()
    assert generation.number == 2
    assert store.read(notes) == [1, 2]


def test_a_newer_schema_is_refused_without_writing(store):
    store.publish(note(1))
    Store(store.folder.parent, Schema(2, create, {2: note(9)})).publish(note(2))
    before = sorted((path.name, path.stat().st_mtime_ns) for path in store.folder.glob("daybook-*"))
    with pytest.raises(NewerStoreError, match="store schema 2 is newer than 1"):
        store.publish(note(3))
    with pytest.raises(NewerStoreError, match="Nothing was written"):
        store.read(notes)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in store.folder.glob("daybook-*")) == before


def test_an_older_schema_is_migrated_or_refused(store):
    store.publish(note(1))
    with pytest.raises(StorageError, match="no way from schema 1 to 2"):
        Store(store.folder.parent, Schema(2, create)).publish(note(2))
    newer = Store(store.folder.parent, Schema(2, create, {2: note(22)}))
    newer.publish(note(3))
    assert newer.read(notes) == [1, 3, 22]


def flip(path, places):
    data = bytearray(path.read_bytes())
    for place in places:
        data[place % len(data)] ^= 0x5A
    path.write_bytes(data)


@pytest.mark.parametrize("start", [0, 8, 4096, 8192, 12_288, 20_000, 262_144 + 12_288, -4096])
def test_flipped_bytes_are_detected_and_the_generation_before_is_used(store, start):
    store.publish(note(1))
    store.publish(note(2))
    flip(store.newest().path, range(start, start + 4096, 64))
    told = []
    reader = Store(store.folder.parent, SCHEMA, warn=told.append)
    assert reader.verified().number == 1
    assert len(told) == 1
    assert "daybook-000002.duckdb: its bytes are not those that were sealed" in told[0]
    assert "Generation 1 is used" in told[0]
    reader = Store(store.folder.parent, SCHEMA, warn=told.append)
    seen = reader.read(notes)
    assert seen == [1] if len(told) == 2 else seen == [1, 2]


def test_damage_that_shows_inside_the_query_leads_to_the_generation_before(store):
    store.publish(note(1))
    many = "INSERT INTO notes SELECT 2, random()::VARCHAR FROM range(50000)"
    store.publish(lambda connection: connection.execute(many))
    path = store.newest().path
    flip(path, range(12_288 + 262_144 + 5000, path.stat().st_size - 262_144, 100_000))
    told = []
    reader = Store(store.folder.parent, SCHEMA, warn=told.append)
    assert reader.read(lambda connection: connection.execute("SELECT max(n), max(text) FROM notes").fetchone())[0] == 1
    assert len(told) == 1


def test_an_error_of_the_query_itself_is_not_taken_for_damage(store):
    store.publish(note(1))
    store.publish(note(2))
    with pytest.raises(duckdb.CatalogException):
        store.read(lambda connection: connection.execute("SELECT * FROM nothing"))
    assert store.newest().number == 2


def test_publishing_over_damage_starts_from_the_generation_before(store):
    store.publish(note(1))
    store.publish(note(2))
    flip(store.newest().path, [50_000])
    with pytest.warns(StoreWarning, match="Generation 1 is used"):
        generation = store.publish(note(3))
    assert generation.number == 3
    assert "daybook-000002.duckdb" in generation.warnings[0]
    assert store.read(notes) == [1, 3]


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"not a database" * 1000),
    lambda path: path.with_suffix(".sha256").unlink(), lambda path: path.with_suffix(".sha256").write_text(""),
    lambda path: path.write_bytes(path.read_bytes()[:-262_144]),
])
def test_a_cut_or_unsealed_generation_is_passed_over(store, spoil):
    store.publish(note(1))
    store.publish(note(2))
    spoil(store.newest().path)
    told = []
    reader = Store(store.folder.parent, SCHEMA, warn=told.append)
    assert reader.verified().number == 1
    assert reader.read(notes) == [1]
    assert len(told) == 1


def test_a_store_without_any_whole_generation_stops(store):
    store.publish(note(1))
    store.newest().path.write_bytes(b"gone")
    for action in (store.newest, store.verified, lambda: store.read(notes), lambda: store.publish(note(2))):
        with pytest.raises(CorruptStoreError, match="no generation is whole"):
            action()


def test_leftovers_of_a_killed_writer_are_swept(store):
    store.publish(note(1))
    for name in (".daybook-000002.duckdb.tmp", ".daybook-000002.duckdb.tmp.wal", "daybook-000002.sha256"):
        (store.folder / name).write_text("left")
    assert store.read(notes) == [1]
    assert store.publish(note(2)).number == 2
    assert store.read(notes) == [1, 2]
    assert not list(store.folder.glob(".daybook*"))


def test_a_full_disk_is_a_storage_error_and_nothing_is_lost(store, monkeypatch):
    store.publish(note(1))

    def full(source, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "_copy", full)
    with pytest.raises(StorageError, match="No space left on device"):
        store.publish(note(2))
    monkeypatch.undo()
    assert store.read(notes) == [1]
    assert not list(store.folder.glob(".daybook*"))


def test_a_folder_that_can_not_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can not be locked"):
        Store(tmp_path / "file", SCHEMA).publish(note(1))


def test_importing_the_store_does_not_load_duckdb():
    code = "import sys, daybook.core.store, daybook.rank; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
