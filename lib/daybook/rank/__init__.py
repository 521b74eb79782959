"""Scores, forward evidence, pools, gates and the trial ledger, and the tables in which they are published."""

from daybook.rank.audit import stored_runs, table_hashes, verify_trials
from daybook.rank.clusters import TrialClusters, trial_clusters
from daybook.rank.confidence_sequence import ConfidenceSequence, confidence_sequence
from daybook.rank.discoveries import Discoveries, OnlineTest, OnlineTesting, benjamini_hochberg
from daybook.rank.evidence import Evidence, EvidenceDay, extend_evidence, first_evidence_day
from daybook.rank.forward_test import FORWARD_DAYS, ForwardTest, due_tests, online_testing
from daybook.rank.gates import GateResult, GateRules, Verdict, verdict
from daybook.rank.kinds import KINDS, Kind
from daybook.rank.ledger import TrialCounts, TrialLedger, counts, read_trials
from daybook.rank.overfitting import Overfitting, overfitting
from daybook.rank.pool import CAPACITY, EvidenceSummary, Pool, PoolMember, empty_pool
from daybook.rank.published import Receipt, content_hash, publish_run, store_schema
from daybook.rank.reality_check import RealityCheck, reality_check
from daybook.rank.result import RunResult, ScoreRow
from daybook.rank.score import ScoreResult, ScoreRules, equal_capital, noise_best_sharpe, score
from daybook.rank.state import (
    PriorState,
    RunRecord,
    pool_of,
    prior_state,
    published_runs,
    state_before,
    trial_counts,
    venue_of,
)
from daybook.rank.statistics import effective_trials
from daybook.rank.tournament import Contest, Contestant, contest, ranked
from daybook.rank.update import Archived, Change, PoolRules, PoolUpdate, Rejected, update_pool

__all__ = [
    "CAPACITY", "FORWARD_DAYS", "KINDS", "Archived", "Change", "ConfidenceSequence", "Contest", "Contestant",
    "Discoveries", "Evidence", "EvidenceDay", "EvidenceSummary", "ForwardTest", "GateResult", "GateRules", "Kind",
    "OnlineTest", "OnlineTesting", "Overfitting", "Pool", "PoolMember", "PoolRules", "PoolUpdate", "PriorState",
    "RealityCheck", "Receipt", "Rejected", "RunRecord", "RunResult", "ScoreResult", "ScoreRow", "ScoreRules",
    "TrialClusters", "TrialCounts", "TrialLedger", "Verdict", "benjamini_hochberg", "confidence_sequence",
    "content_hash", "contest", "counts", "due_tests", "effective_trials", "empty_pool", "equal_capital",
    "extend_evidence", "first_evidence_day", "noise_best_sharpe", "online_testing", "overfitting", "pool_of",
    "prior_state", "publish_run", "published_runs", "ranked", "read_trials", "reality_check", "score", "state_before",
    "store_schema", "stored_runs", "table_hashes", "trial_clusters", "trial_counts", "update_pool", "venue_of",
    "verdict", "verify_trials",
]
