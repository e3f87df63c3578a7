"""THE list: every task, format, world, model, balancer, probe, check, reader, a line each: ``name -> "module:Name"``.

A test walks it: each entry resolves, fits its protocol, has a mirrored test and a docstring whose first line
is its row in the docs. Nothing is imported until it is asked for, so listing loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from veritrain.errors import UsageError, did_you_mean

TASKS = {
    "anomaly": "veritrain.tasks.anomaly:AnomalyTask",
    "joint": "veritrain.tasks.joint:JointTask",
    "contrastive": "veritrain.tasks.contrastive:ContrastiveTask",
    "openvocab": "veritrain.tasks.openvocab:OpenVocabTask",
}

FORMATS = {
    "anovox": "veritrain.data.anovox:AnoVoxFormat",
    "echo": "veritrain.data.echo:EchoFormat",
    "dior": "veritrain.data.dior:DiorFormat",
    "coco": "veritrain.data.coco_boxes:CocoBoxes",
}

WORLDS = {
    "driving": "veritrain.worlds.driving:DrivingWorld",
    "echo": "veritrain.worlds.echo:EchoWorld",
    "aerial": "veritrain.worlds.aerial:AerialWorld",
}

MODELS = {
    "fusion": "veritrain.models.fusion:FusionDetector",
    "report000-simple": "veritrain.models.origin:SimpleDetector",
    "report001-attention": "veritrain.models.origin:AttentionDetector",
    "report001-focal": "veritrain.models.origin:FocalDetector",
    "report001-voxelwise": "veritrain.models.origin:VoxelwiseDetector",
    "report001-scene": "veritrain.models.origin:SceneDetector",
    "report001-image-only": "veritrain.models.origin:ImageOnlyDetector",
    "report001-lidar-only": "veritrain.models.origin:LidarOnlyDetector",
    "report001-late-fusion": "veritrain.models.origin:LateFusionDetector",
    "report001-lightweight": "veritrain.models.origin:LightweightDetector",
    "yolov5n-nc80": "veritrain.models.yolo_sizes:yolov5n_nc80",
    "yolov5s-nc80": "veritrain.models.yolo_sizes:yolov5s_nc80",
    "yolov5m-nc80": "veritrain.models.yolo_sizes:yolov5m_nc80",
    "yolov5l-nc80": "veritrain.models.yolo_sizes:yolov5l_nc80",
    "yolov5x-nc80": "veritrain.models.yolo_sizes:yolov5x_nc80",
    "yolov5n-nc4": "veritrain.models.yolo_sizes:yolov5n_nc4",
    "yolov5s-nc4": "veritrain.models.yolo_sizes:yolov5s_nc4",
    "yolov5m-nc4": "veritrain.models.yolo_sizes:yolov5m_nc4",
    "yolov5l-nc4": "veritrain.models.yolo_sizes:yolov5l_nc4",
    "yolov5x-nc4": "veritrain.models.yolo_sizes:yolov5x_nc4",
    "yolov5s-nc4-view": "veritrain.models.yolo_sizes:yolov5s_nc4_view",
    "clip-rn50": "veritrain.models.clip:clip_rn50",
    "clip-vit-b-32": "veritrain.models.clip:clip_vit_b_32",
    "clip-vit-l-14": "veritrain.models.clip:clip_vit_l_14",
    "report002-classifier": "veritrain.models.origin002:report002_classifier",
    "small-clip": "veritrain.models.small_clip:small_clip",
    "openvocab-dense": "veritrain.models.detr:openvocab_dense",
    "openvocab-query": "veritrain.models.detr:openvocab_query",
    "openvocab-query-rn50": "veritrain.models.detr:openvocab_query_rn50",
}

BALANCERS: dict[str, str] = {
    "static": "veritrain.losses.balance:StaticWeights",
    "gradnorm": "veritrain.losses.gradnorm:GradNorm",
    "uncertainty": "veritrain.losses.uncertainty:Uncertainty",
    "dwa": "veritrain.losses.dwa:DynamicWeightAverage",
    "famo": "veritrain.losses.famo:Famo",
    "upgrad": "veritrain.losses.jacobian_balancers:UPGrad",
    "pcgrad": "veritrain.losses.jacobian_balancers:PCGrad",
    "cagrad": "veritrain.losses.jacobian_balancers:CAGrad",
    "mgda": "veritrain.losses.jacobian_balancers:MGDA",
    "nash_mtl": "veritrain.losses.jacobian_balancers:NashMTL",
    "imtl_g": "veritrain.losses.jacobian_balancers:IMTLG",
    "aligned_mtl": "veritrain.losses.jacobian_balancers:AlignedMTL",
    "report004": "veritrain.losses.report004:Report004",
}

PROBES: dict[str, str] = {
    "labels_read_twice": "veritrain.probes.labels:LabelsReadTwice",
    "loss_under_flipped_labels": "veritrain.probes.loss:LossUnderFlippedLabels",
    "loss_without_later_boxes": "veritrain.probes.loss:LossWithoutLaterBoxes",
    "best_constant_loss": "veritrain.probes.loss:BestConstantLoss",
    "one_batch_overfit": "veritrain.probes.loss:OneBatchOverfit",
    "metric_on_known_answers": "veritrain.probes.metric:MetricOnKnownAnswers",
    "boxes_shifted": "veritrain.probes.boxes:BoxesShifted",
    "between_group_permutation": "veritrain.probes.permutation:BetweenGroupPermutation",
    "inputs_exchanged": "veritrain.probes.inputs:InputsExchanged",
    "texts_exchanged": "veritrain.probes.texts:TextsExchanged",
    "reinitialised_networks": "veritrain.probes.retraining:ReinitialisedNetworks",
    "permuted_label_retraining": "veritrain.probes.retraining:PermutedLabelRetraining",
    "fresh_process_evaluation": "veritrain.probes.reevaluation:FreshProcessEvaluation",
}

CHECKS: dict[str, str] = {
    "beats_trivial": "veritrain.audit.scores:BeatsTrivial",
    "finite": "veritrain.audit.loss:Finite",
    "loss_not_vanished": "veritrain.audit.loss:LossNotVanished",
    "loss_moves": "veritrain.audit.loss:LossMoves",
    "loss_falls_gradually": "veritrain.audit.loss:LossFallsGradually",
    "beats_constant_loss": "veritrain.audit.loss:BeatsConstantLoss",
    "tasks_connected": "veritrain.audit.gradients:TasksConnected",
    "balance_weights_sum": "veritrain.audit.gradients:BalanceWeightsSum",
    "totals_comparable": "veritrain.audit.terms:TotalsComparable",
    "boxes_beat_constant": "veritrain.audit.terms:BoxesBeatConstant",
    "declared_terms_computed": "veritrain.audit.terms:DeclaredTermsComputed",
    "held_out_signal_exists": "veritrain.audit.scores:HeldOutSignalExists",
    "metric_moves": "veritrain.audit.scores:MetricMoves",
    "not_too_good_too_early": "veritrain.audit.scores:NotTooGoodTooEarly",
    "val_not_above_train": "veritrain.audit.scores:ValNotAboveTrain",
    "no_late_overfit": "veritrain.audit.scores:NoLateOverfit",
    "claims_supported": "veritrain.audit.claims:ClaimsSupported",
    "accuracy_carries_f1": "veritrain.audit.claims:AccuracyCarriesF1",
    "loss_definition_reads_labels": "veritrain.audit.claims:LossDefinitionReadsLabels",
    "label_definition_deterministic": "veritrain.audit.claims:LabelDefinitionDeterministic",
    "ran_to_the_end": "veritrain.audit.process:RanToTheEnd",
    "errors_not_swallowed": "veritrain.audit.process:ErrorsNotSwallowed",
    "one_run_per_table": "veritrain.audit.process:OneRunPerTable",
    "splits_differ": "veritrain.audit.process:SplitsDiffer",
    "validation_has_samples": "veritrain.audit.process:ValidationHasSamples",
    "checkpoint_fits": "veritrain.audit.process:CheckpointFits",
    "finished_as_planned": "veritrain.audit.process:FinishedAsPlanned",
    "numbers_were_measured": "veritrain.audit.process:NumbersWereMeasured",
    "both_labels_present": "veritrain.audit.labels:BothLabelsPresent",
    "labels_deterministic": "veritrain.audit.labels:LabelsDeterministic",
    "every_box_learned": "veritrain.audit.labels:EveryBoxLearned",
    "contents_disjoint": "veritrain.audit.leakage:ContentsDisjoint",
    "splits_disjoint": "veritrain.audit.leakage:SplitsDisjoint",
    "selection_leaves_test_alone": "veritrain.audit.leakage:SelectionLeavesTestAlone",
    "checkpoint_unchanged": "veritrain.audit.integrity:CheckpointUnchanged",
    "record_whole": "veritrain.audit.integrity:RecordWhole",
    "numbers_agree": "veritrain.audit.integrity:NumbersAgree",
    "loss_reads_labels": "veritrain.audit.setup:LossReadsLabels",
    "trivial_minimiser_not_reached": "veritrain.audit.setup:TrivialMinimiserNotReached",
    "one_batch_overfits": "veritrain.audit.setup:OneBatchOverfits",
    "metric_unit_tested": "veritrain.audit.setup:MetricUnitTested",
    "box_score_follows_place": "veritrain.audit.setup:BoxScoreFollowsPlace",
    "boxes_share_unit": "veritrain.audit.setup:BoxesShareUnit",
    "boxes_answered": "veritrain.audit.setup:BoxesAnswered",
    "beats_permuted_labels": "veritrain.audit.controls:BeatsPermutedLabels",
    "permuted_retraining_fails": "veritrain.audit.controls:PermutedRetrainingFails",
    "beats_untrained": "veritrain.audit.controls:BeatsUntrained",
    "inputs_matter": "veritrain.audit.modalities:InputsMatter",
    "names_matter": "veritrain.audit.modalities:NamesMatter",
    "enough_groups": "veritrain.audit.generalisation:EnoughGroups",
    "reevaluation_agrees": "veritrain.audit.generalisation:ReevaluationAgrees",
}

READERS: dict[str, str] = {
    "csv_history": "veritrain.readers.csv_history:CsvHistoryReader",
    "report": "veritrain.readers.report:ReportReader",
    "text_log": "veritrain.readers.text_log:TextLogReader",
}

KINDS: dict[str, dict[str, str]] = {
    "tasks": TASKS,
    "formats": FORMATS,
    "worlds": WORLDS,
    "models": MODELS,
    "balancers": BALANCERS,
    "probes": PROBES,
    "checks": CHECKS,
    "readers": READERS,
}


def resolve(kind: str, name: str) -> Any:
    """The object that ``name`` stands for in the list ``kind``.

    Raises:
        UsageError: the kind or the name is not in the list.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind '{kind}'", found=kind, fix=did_you_mean(kind, KINDS))
    if name not in KINDS[kind]:
        raise UsageError(f"no {kind.rstrip('s')} '{name}'", found=name, fix=did_you_mean(name, KINDS[kind]))
    module, _, attribute = KINDS[kind][name].partition(":")
    return getattr(importlib.import_module(module), attribute)
