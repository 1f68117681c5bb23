"""Labelled images: scikit-learn's digits, and MNIST and CIFAR-10 from their standard files."""

from uepgpu.train.data.dataset import SOURCES, Dataset, load_dataset

__all__ = ["SOURCES", "Dataset", "load_dataset"]
