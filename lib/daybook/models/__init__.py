"""Five daily models and three ensembles: targets, forward folds, learners, judgement, backtests, saved form."""

from daybook.models.daily import DayModels, TrainedModel, TrainRequest, out_of_fold_predictions, train_models
from daybook.models.dataset import Dataset, Market, build_dataset
from daybook.models.ensemble_day import TrainedEnsemble
from daybook.models.labels import LabelSettings
from daybook.models.learners import TreeSettings
from daybook.models.registry import MODELS, ModelSpec
from daybook.models.saved import SavedModel, block_returns, load_model, save_day, save_model
from daybook.models.scorecards import BacktestCard, Metric, ModelScorecard
from daybook.models.splits import SplitPlan, forward_splits, plan_folds

__all__ = [
    "MODELS", "BacktestCard", "Dataset", "DayModels", "LabelSettings", "Market", "Metric", "ModelScorecard",
    "ModelSpec", "SavedModel", "SplitPlan", "TrainRequest", "TrainedEnsemble", "TrainedModel", "TreeSettings",
    "block_returns", "build_dataset", "forward_splits", "load_model", "out_of_fold_predictions", "plan_folds",
    "save_day", "save_model", "train_models",
]  # fmt: skip
