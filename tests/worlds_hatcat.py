"""HDF5 files as HatCat's own writers laid them out: names, types, compression and attributes are theirs."""

import time

import h5py
import numpy as np

MODEL = "google/gemma-3-270m"


def vectors(concepts, d, *, seed=0):
    return (np.random.default_rng(seed).normal(size=(concepts, d)) * 3).astype(np.float16)


def head(file, names, d, **attributes):
    said = {"n_concepts": len(names), "activation_dim": d, "model": MODEL, "stage": 0}
    said |= {"samples_per_concept": 1, "timestamp": time.time()} | attributes
    for name, value in said.items():
        file.attrs[name] = value
    text = h5py.string_dtype(encoding="utf-8")
    file.create_dataset("concepts", data=np.array(names, dtype=object), dtype=text)


def stage0(path, names, of_layer):
    """ProgressiveBootstrap.bootstrap_stage0."""
    with h5py.File(path, "w") as file:
        head(file, names, next(iter(of_layer.values())).shape[1])
        for layer, rows in of_layer.items():
            file.create_dataset(
                f"layer_{layer}/activations", data=rows, compression="gzip", compression_opts=4
            )
            unknown = np.full(len(names), np.nan, dtype=np.float16)
            file.create_dataset(f"layer_{layer}/variance", data=unknown)
            for name, value in {"samples_per_concept": 1, "confidence": "low", "stage": 0}.items():
                file[f"layer_{layer}"].attrs[name] = value
    return path


def stage1_class(path, refined, *, layer=-1, samples=5):
    """ProgressiveBootstrap.bootstrap_stage1: rows are overwritten in place, for some of the concepts."""
    with h5py.File(path, "r+") as file:
        for row, mean in refined.items():
            file[f"layer_{layer}/activations"][row] = mean
            file[f"layer_{layer}/variance"][row] = 0.25
        said = {"stage": 1, "confidence": "medium", "samples_per_concept": samples}
        for name, value in said.items():
            file[f"layer_{layer}"].attrs[name] = value
    return path


def stage1_script(path, names, samples, *, layer=-1, polarity=None):
    """stage_1_refinement.py: all samples of concept 0, then of concept 1; `samples` is [concept sample d]."""
    concepts, each, d = samples.shape
    with h5py.File(path, "w") as file:
        head(file, names, d, stage=1, samples_per_concept=each)
        packed = {"compression": "gzip", "compression_opts": 4}
        group = file.create_group(f"layer_{layer}")
        group.create_dataset("activations", data=samples.reshape(-1, d), **packed)
        labels = np.repeat(np.arange(concepts, dtype=np.int32), each)
        group.create_dataset("labels", data=labels, **packed)
        variance = samples.astype(np.float64).var(1).mean(1).astype(np.float16)
        group.create_dataset("variance", data=variance)
        if polarity is not None:
            group.create_dataset("polarity", data=np.tile(np.array(polarity, np.int8), concepts), **packed)
            group.create_dataset("variance_pos", data=variance)
            group.create_dataset("variance_neg", data=variance)
        said = {"samples_per_concept": each, "confidence": "medium", "stage": 1}
        for name, value in (said | {"total_samples": concepts * each}).items():
            group.attrs[name] = value
    return path


def temporal(path, names, positive, lengths, negative, negative_lengths):
    """stage_1_5_temporal.py: arrays are [concept sequence step d], zero behind each sequence's own length."""
    packed = {"compression": "gzip", "compression_opts": 4}
    with h5py.File(path, "w") as file:
        head(file, names, positive.shape[-1], stage=1, samples_per_concept=positive.shape[1])
        for concept in range(len(names)):
            group = file.create_group(f"layer_-1/concept_{concept}")
            for kind, rows, n in (
                ("positive", positive, lengths),
                ("negative", negative, negative_lengths),
            ):
                group.create_dataset(f"{kind}_sequences", data=rows[concept], **packed)
                group.create_dataset(f"{kind}_lengths", data=n[concept].astype(np.int32))
            group.attrs["pos_variance"], group.attrs["neg_variance"] = 0.1, 0.2
    return path
