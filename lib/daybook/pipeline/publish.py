"""From finished steps to a published run: pages, secret scan, rename, one store transaction, the site.

Each part is repeatable, so that a crash between any two of them is mended by the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybook.core.errors import DataError, UsageError
from daybook.core.files import read_json, sweep_temporaries, sync_folder, write_json
from daybook.core.hashing import hash_json
from daybook.core.redaction import files_with_secrets, secret_values
from daybook.core.settings import Settings
from daybook.core.store import Store
from daybook.pipeline.folders import RunFolders
from daybook.pipeline.manifest import STEPS, Manifest, artefact_hashes, read_manifest
from daybook.pipeline.pages import write_pages, write_report, write_site
from daybook.pipeline.unfinished import taken_in
from daybook.rank import Receipt, RunResult, store_schema
from daybook.rank import publish_run as record_run
from daybook.rank.ledger import FILE_NAME

if TYPE_CHECKING:
    import duckdb

RECEIPT = "publication.json"
Measure = Callable[[str, Callable[[], Any]], Any]


def publish_run(
    folders: RunFolders, staging: Path, manifest: Manifest, settings: Settings, measure: Measure,
    save: Callable[[], None], say: Callable[[str], None],
) -> tuple[Path, Manifest]:
    """Turn a staged run whose steps are done into a published one; returns its folder and manifest."""
    report = measure("report", lambda: write_report(staging, manifest))
    manifest.headline = report.headline.verdict
    manifest.report_hash = hash_json(_comparable(staging))
    measure("html", lambda: write_pages(folders, staging, manifest))
    sweep_temporaries(staging, also_living=True)
    _require_whole(staging, manifest, "Run again with --resume: the step is repeated.")
    _require_no_secrets(staging, settings)
    manifest.status = "complete"
    save()
    _sync_tree(staging)
    sealed = manifest.sealed
    folder = folders.publish(sealed.day, sealed.number)
    record(folder, settings.data)
    write_site(folders)
    say(f"{sealed.run_id}: published, {manifest.headline}")
    return folder, manifest


def _comparable(staging: Path) -> dict[str, Any]:
    from daybook.report import comparable, read_report

    return comparable(read_report(staging / "report.json"))


def record(folder: Path, data: Path) -> None:
    """Enter a finished run into the published store, once, and leave the receipt beside it."""
    record_all([folder], data)


def record_all(finished: Sequence[Path], data: Path) -> None:
    """Enter finished runs into the published store, in this order and one transaction; leave a receipt beside each.

    Raises DataError for a run that has a receipt and whose trials, or those before it, are not what it says.
    """
    results = [run_result(folder) for folder in finished]
    receipts: list[Receipt] = []

    def enter(connection: duckdb.DuckDBPyConnection) -> None:
        for folder, result in zip(finished, results, strict=True):
            receipt = record_run(connection, result).model_copy(update={"artefacts": artefacts_hash(folder)})
            _require_as_published(folder, receipt)
            receipts.append(receipt)

    Store(data, store_schema()).publish(enter)
    for folder, receipt in zip(finished, receipts, strict=True):
        write_json(folder / RECEIPT, receipt.model_dump(mode="json"))


def _require_as_published(folder: Path, receipt: Receipt) -> None:
    """A run that comes into a store again must come with the trials that were published, after the same ones."""
    if not (folder / RECEIPT).is_file():
        return
    said = read_json(folder / RECEIPT)
    if said["chain_previous"] != receipt.chain_previous:
        raise DataError(
            f"trial ledger: run {receipt.run_id}: a run that was published before it is missing or was changed. "
            f"Restore that run from a backup; if it is lost for good, remove {RECEIPT} here and from every later run."
        )
    if (said["trials"], said["chain_head"]) != (receipt.trials, receipt.chain_head):
        raise DataError(f"trial ledger: run {receipt.run_id}: its trials are not those that its receipt says were "
                        "published. Restore the run from a backup.")
    if said.get("artefacts") not in (None, receipt.artefacts):
        raise DataError(f"trial ledger: run {receipt.run_id}: its artefacts are not those that its receipt says were "
                        "published. Restore the run from a backup.")


def published_ids(data: Path) -> frozenset[str]:
    """Ids of the runs that the newest whole generation of the store holds; none when there is no store."""
    store = Store(data, store_schema())
    if store.newest() is None:
        return frozenset()
    return frozenset(
        store.read(lambda connection: [row[0] for row in connection.execute("SELECT run_id FROM runs").fetchall()])
    )


def publish_missing(folders: RunFolders, data: Path) -> None:
    """Enter every finished run that the store lacks, in the order in which they were once published.

    These are one run after a crash between its rename and its publication, those since the last whole generation when
    newer ones were damaged, and all of them when the store was lost. A run that is known costs one look at its receipt.
    """
    Store(data, store_schema()).upgrade()
    known = published_ids(data)
    pending = [
        folder for name in folders.run_ids()
        if not ((folder := folders.finished(name)) / RECEIPT).is_file() or name not in known
    ]
    if not pending:
        return
    try:
        record_all(sorted(pending, key=_published_order), data)
    except (DataError, UsageError) as error:
        names = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in pending)
        raise DataError(
            f"{error} It is among the finished runs that the store lacks ({names}); nothing is entered until it is "
            "restored from a backup, or moved out of the runs folder."
        ) from None


def _published_order(folder: Path) -> tuple[int, str, str]:
    receipt = folder / RECEIPT
    sequence = read_json(receipt)["sequence"] if receipt.is_file() else 2**62
    return sequence, folder.parent.name, folder.name


def run_result(folder: Path) -> RunResult:
    """What a finished run hands to the store. Raises DataError when its artefacts are not those of its manifest."""
    manifest = read_manifest(folder)
    _require_whole(folder, manifest, "Restore them from a backup.")
    sealed = manifest.sealed
    outcome = read_json(folder / "artefacts" / "40_rank_report" / "outcome.json")
    venue = read_json(folder / "inputs" / "bars.json")["venue"]
    ledgers = [folder / "artefacts" / step / FILE_NAME for step in STEPS]
    followed = folder / "artefacts" / "00_score" / "followed.json"
    unfinished = read_json(folder / "inputs" / "state.json").get("unfinished", {})
    return RunResult.model_validate({
        "run_id": sealed.run_id, "day": sealed.day, "number": sealed.number, "parent": sealed.parent,
        "official": sealed.official, "status": manifest.status, "seed": sealed.settings["seed"],
        "source": sealed.settings["source"], "code_hash": sealed.code_hash, "data_hash": sealed.data_hash,
        "settings_hash": sealed.settings_hash, "facts": {"state_hash": sealed.state_hash, "venue": venue},
        "trials": tuple(path for path in ledgers if path.is_file()),
        "unfinished": taken_in(folder, unfinished), "followed": read_json(followed) if followed.is_file() else (),
        **outcome,
    })


def artefacts_hash(folder: Path) -> str:
    """Hash of what a run's manifest says of its artefacts and of the state that the run started from."""
    manifest = read_manifest(folder)
    return hash_json([manifest.sealed.state_hash, {step.name: step.artefacts for step in manifest.steps}])


def _require_whole(folder: Path, manifest: Manifest, remedy: str) -> None:
    for record_ in manifest.steps:
        if record_.state != "done" or record_.artefacts != artefact_hashes(folder, record_.name):
            raise DataError(
                f"{folder}: the artefacts of {record_.name} are not those of its manifest. {remedy}"
            )


def _require_no_secrets(folder: Path, settings: Settings) -> None:
    found = files_with_secrets(folder, secret_values(settings.secrets()))
    if found:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found)
        raise DataError(
            f"{folder}: a secret stands in {names}. The run is not published. Remove the secret from what the page "
            "prints and run again with --resume."
        )


def _sync_tree(folder: Path) -> None:
    """Make every folder entry of the run durable before the rename that publishes it."""
    for path in sorted(p for p in folder.rglob("*") if p.is_dir()):
        sync_folder(path)
    sync_folder(folder)
