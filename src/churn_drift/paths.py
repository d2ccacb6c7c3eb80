"""Where each stage writes, relative to the repository's root; the same paths stand in dvc.yaml (a test compares)."""

from pathlib import Path

PARAMS = Path("params.yaml")

RAW = Path("data/raw/customers.csv")
PROCESSED = Path("data/processed/customers.parquet")
BATCHES = Path("data/batches")
LANDED = Path("data/landed")

BASELINE = Path("models/baseline")
RETRAINED = Path("models/retrained")
CANDIDATE = Path("models/candidate")
CHAMPION = Path("models/champion")
CHAMPION_PIN = Path("models/champion.dvc")
LEDGER = Path("models/ledger.jsonl")

INGEST_REPORT = Path("reports/ingest/summary.json")
PREPROCESS_REPORT = Path("reports/preprocess/summary.json")
SCENARIO_TRUTH = Path("reports/split_batches/truth.json")
BASELINE_METRICS = Path("reports/train_baseline/metrics.json")

DRIFT_EVENTS = Path("reports/drift_check/events.json")
DRIFT_METRICS = Path("reports/drift_check/metrics.json")
DRIFT_SCORES = Path("data/scores/drift_check.parquet")
DRIFT_BATCHES = Path("reports/drift_check/batches.csv")
DRIFT_FEATURES = Path("reports/drift_check/features.csv")
DRIFT_DISTRIBUTIONS = Path("reports/drift_check/distributions.csv")

RETRAIN_EVENTS = Path("reports/retrain/events.json")
RETRAIN_SUMMARY = Path("reports/retrain/summary.json")
RETRAIN_SCORES = Path("data/scores/retrain.parquet")

EVALUATION = Path("reports/evaluate")
TIMELINE = EVALUATION / "timeline.csv"
SUMMARY = EVALUATION / "summary.json"
CURVES = EVALUATION / "curves"
METRICS = EVALUATION / "metrics.json"
SLICES = EVALUATION / "slices.csv"
FIGURES = Path("reports/figures")
MODEL_CARD = Path("reports/model_card.md")
DATA_SHEET = Path("reports/data_sheet.md")
