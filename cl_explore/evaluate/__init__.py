"""Probes of a frozen encoder: what its representation makes easy."""

# ruff: noqa: E402

from cl_explore.needed import needed as _needed

_needed("cl_explore.evaluate", PIL="pillow", tqdm="tqdm")

from cl_explore.evaluate.clusters import Agreement, agreement, kmeans, ward
from cl_explore.evaluate.embedding import Embedding, embed, embed_views
from cl_explore.evaluate.few_labels import FewLabels, few_label_accuracy
from cl_explore.evaluate.knn import knn_accuracy
from cl_explore.evaluate.linear import linear_accuracy, linear_f1, linear_iou
from cl_explore.evaluate.protocol import LinearProbe, linear_probe
from cl_explore.evaluate.retrieval import ndcg, recall
from cl_explore.evaluate.ridge import Regression, ridge_regression
from cl_explore.evaluate.robustness import IMAGE_CORRUPTIONS, corrupted_accuracy
from cl_explore.evaluate.suspicion import Suspicion, suspicious_labels

__all__ = [
    "IMAGE_CORRUPTIONS",
    "Agreement",
    "Embedding",
    "FewLabels",
    "LinearProbe",
    "Regression",
    "Suspicion",
    "agreement",
    "corrupted_accuracy",
    "embed",
    "embed_views",
    "few_label_accuracy",
    "kmeans",
    "knn_accuracy",
    "linear_accuracy",
    "linear_f1",
    "linear_iou",
    "linear_probe",
    "ndcg",
    "recall",
    "ridge_regression",
    "suspicious_labels",
    "ward",
]
