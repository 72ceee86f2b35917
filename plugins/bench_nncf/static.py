"""`int8-static` on IR: NNCF's post-training quantisation with fast bias correction."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_nncf.calibration import feed, rows_of, split_of
from bench_nncf.grouped_bias import correct_grouped
from bench_nncf.ir import has_attention, is_quantised, load, ov, products, save
from bench_nncf.quiet import quiet
from harness import BuildContext, Split, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def quantise_static(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise a float IR; inputs and outputs stay float, the batch stays as free as it was.

    Raises:
        ArtifactError: No calibration rows, rows that do not fit the model, or a file that cannot be read.
        UnsupportedError: An option out of its range, or a file that is quantised already.
    """
    _check(options)
    model = load(path)
    split = split_of("calibration", model, context)
    rows = rows_of(split, options.samples)
    attention = has_attention(model)
    grouped = 0
    with quiet() as nncf:
        presets = nncf.QuantizationPreset
        given = {
            "preset": presets.PERFORMANCE if options.symmetric_activations else presets.MIXED,
            "subset_size": len(rows),
            "model_type": nncf.ModelType.TRANSFORMER if attention else None,
        }
        calibration = nncf.Dataset(rows, lambda row: feed(split, row))
        if options.max_drop:
            validation = split_of("validation", model, context)
            quantised, before = _controlled(nncf, model, calibration, validation, (options, given, context))
        else:
            quantised = nncf.quantize(model, calibration, advanced_parameters=_advanced(options), **given)
            before = None
            if options.correct_biases:
                grouped = correct_grouped(quantised, model, (feed(split, row) for row in rows), context.threads)
    context.note(
        f"calibrated on {len(rows)} of {len(split)} rows, {_method(options.method)}"
        f"{', biases corrected' if options.correct_biases else ''}"
    )
    if grouped:
        context.note(f"biases of {grouped} grouped convolutions corrected too, which NNCF passes over")
    if attention:
        context.note("quantised as a transformer: ranges smoothed between activations and weights (SmoothQuant)")
    _note_coverage(quantised, before, context)
    return save(quantised, context.workdir / "int8-static")


def _check(options: Any) -> None:
    if options.samples < 1:
        raise UnsupportedError(f"samples={options.samples}: at least one row is needed", hint="Take 100 or more.")
    if not 50.0 < options.percentile <= 100.0:
        raise UnsupportedError(
            f"percentile={options.percentile}: must be above 50 and at most 100", hint="99.9 to 99.999 is usual."
        )
    if not 0.0 <= options.max_drop < 100.0:
        raise UnsupportedError(
            f"max_drop={options.max_drop}: must be 0 or more and below 100", hint="1.0 allows a point of accuracy."
        )


def _advanced(options: Any) -> Any:
    """Options in NNCF's words.

    Activations always have one range a tensor. NNCF would give the inputs of depthwise convolutions one a channel,
    which follows the calibration rows too closely: on EfficientNet-Lite0 with 72 rows the error of the outputs doubled.
    """
    from nncf.quantization.advanced_parameters import (  # type: ignore[import-untyped]
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )
    from nncf.quantization.range_estimator import (  # type: ignore[import-untyped]
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    tail = (100.0 - options.percentile) / 200.0  # at either end
    ranges = {
        "minmax": RangeEstimatorParametersSet.MINMAX,
        "entropy": RangeEstimatorParametersSet.HISTOGRAM,
        "percentile": RangeEstimatorParameters(
            *(
                StatisticsCollectorParameters(
                    statistics_type=StatisticsType.QUANTILE,
                    aggregator_type=AggregatorType.MEAN,
                    quantile_outlier_prob=tail,
                )
                for _end in ("min", "max")
            )
        ),
    }
    return AdvancedQuantizationParameters(
        overflow_fix=OverflowFix.ENABLE if options.reduce_range else OverflowFix.DISABLE,
        activations_range_estimator_params=ranges[options.method],
        activations_quantization_params=QuantizationParameters(per_channel=False),
        disable_bias_correction=not options.correct_biases,
        weights_quantization_params=None if options.per_channel else QuantizationParameters(per_channel=False),
    )


def _method(method: str) -> str:
    return {
        "minmax": "method minmax",
        "entropy": "ranges by the least squared error over a histogram, NNCF's counterpart of entropy",
        "percentile": "method percentile (the mean of what each row says)",
    }[method]


def _controlled(
    nncf: ModuleType,
    model: ov.Model,
    calibration: Any,
    validation: Split,
    how: tuple[Any, dict[str, Any], BuildContext],
) -> tuple[ov.Model, frozenset[str]]:
    """The model with as many layers back in float as the accuracy needs, and which were quantised before."""
    from nncf.quantization.advanced_parameters import (  # type: ignore[import-untyped]
        AdvancedAccuracyRestorerParameters,
    )

    options, given, context = how
    labels = validation.labels
    rows = [] if labels is None else [row for row, label in enumerate(labels.tolist()) if label >= 0]
    if labels is None or not rows:
        raise UnsupportedError(
            f"max_drop={options.max_drop}: no validation row has a label", hint="Leave max_drop out, or give labels."
        )
    scores: list[float] = []

    def accuracy(compiled: Any, chosen: Iterable[int]) -> tuple[float, list[float]]:
        right = [float(np.argmax(compiled(feed(validation, row))[0]) == labels[row]) for row in chosen]
        if len(right) == len(rows):  # NNCF also asks for single rows, to learn what the function returns
            scores.append(float(np.mean(right)))
        return float(np.mean(right)), right

    with tempfile.TemporaryDirectory(dir=context.workdir) as name:
        quantised = nncf.quantize_with_accuracy_control(
            model,
            calibration,
            nncf.Dataset(rows, lambda row: feed(validation, row)),
            accuracy,
            max_drop=options.max_drop / 100.0,
            advanced_quantization_parameters=_advanced(options),
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
                intermediate_model_dir=name, num_ranking_workers=1
            ),
            **given,
        )
        before = _quantised(ov.Core().read_model(Path(name) / "intermediate_model.xml"))
    context.note(f"accuracy on {len(rows)} validation rows: {scores[0]:.2%} in float, {scores[1]:.2%} quantised")
    return quantised, before


def _quantised(model: ov.Model) -> frozenset[str]:
    """Names of the products that are integer."""
    return frozenset(node.get_friendly_name() for node in products(model) if is_quantised(node))


def _note_coverage(model: ov.Model, before: frozenset[str] | None, context: BuildContext) -> None:
    """Say how many products are integer and, after accuracy control, which went back to float."""
    now = _quantised(model)
    kinds = {node.get_friendly_name(): node.get_type_name() for node in products(model)}
    every, narrow = Counter(kinds.values()), Counter(kinds[name] for name in now)
    context.note("int8: " + ", ".join(f"{narrow[kind]} of {count} {kind}" for kind, count in sorted(every.items())))
    if before is not None:
        context.note("back to float for accuracy: " + (", ".join(sorted(before - now)) or "none was needed"))
