"""The fixed words of the report in English and Chinese; what a check says stays as the check said it."""

from __future__ import annotations

from typing import Literal, get_args

from markupsafe import Markup

from veritrain.errors import UsageError
from veritrain.report.recipe_words import RECIPE_WORDS
from veritrain.report.retrieval_words import RETRIEVAL_WORDS
from veritrain.report.vocabulary_words import VOCABULARY_WORDS

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

WORDS: dict[str, tuple[str, str]] = {
    # The page
    "report_of": ("Report of", "报告："),
    "skip": ("Skip to the verdict", "跳到结论"),
    "language": ("Language", "语言"),
    "contents": ("Contents", "目录"),
    "undefined": ("undefined", "未定义"),
    "none": ("none", "无"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    # Verdict
    "shown": ("SHOWN", "已证实"),
    "plausible": ("PLAUSIBLE", "可信但未证实"),
    "not_shown": ("NOT SHOWN", "未证实"),
    "refuted": ("REFUTED", "已否定"),
    "unjudged": ("NOT JUDGED YET", "尚未判定"),
    "one_run": ("one run", "单次运行"),
    "shown_means": (
        "No check contradicts the claim, and every check that it needs ran and passed.",
        "没有任何检查与该结论相矛盾，且所需的全部检查均已运行并通过。",
    ),
    "plausible_means": (
        "Held-out numbers are clearly above the trivial level and nothing contradicts them, "
        "but checks that would be needed could not run.",
        "留出数据上的数值明显高于平凡水平，也没有证据与之矛盾，但部分必需的检查无法运行。",
    ),
    "not_shown_means": (
        "It may have learned; this evidence cannot tell.",
        "模型也许学到了东西，但现有证据无法说明。",
    ),
    "refuted_means": (
        "The evidence contradicts the claim, or shows that nothing useful was learned.",
        "证据与该结论相矛盾，或表明模型没有学到有用的内容。",
    ),
    "unjudged_means": (
        "No verdict has been written for this run. What is below is what the record holds so far.",
        "该运行还没有结论。以下是记录中现有的内容。",
    ),
    "made_data": ("Made data", "人造数据"),
    "made_means": (
        "These numbers come from a generated world with known answers. They show that the system works and that the "
        "audit tells truth from falsehood; they say nothing about real recordings.",
        "这些数字来自答案已知的人造世界。它们说明系统可以工作、审计能分辨真伪，但不能说明模型在真实数据上的表现。",
    ),
    "not_medical": ("Research software, not a medical device", "研究用软件，并非医疗器械"),
    "medical_means": (
        "Nothing here may be used to diagnose or to treat anybody.",
        "此处任何内容均不得用于诊断或治疗。",
    ),
    "leaky_split": ("The split leaks", "数据划分存在泄漏"),
    "leaky_means": (
        "Some patients are on both sides of the split: these scores say nothing about new patients.",
        "有患者同时出现在划分的两侧：这些分数不能说明模型在新患者上的表现。",
    ),
    "reasons": ("Why", "理由"),
    "settle": ("What would settle it", "如何确认"),
    "claim": ("Claim", "结论对象"),
    "other_claims": ("Other claims of this run", "该运行的其他结论"),
    "on_split": ("on", "数据划分："),
    # Running
    "running": ("This run has not ended.", "该运行尚未结束。"),
    "ended": ("This run has ended.", "该运行已结束。"),
    "status": ("Status", "状态"),
    "stop_reason": ("Stopped because", "停止原因"),
    "last_line": ("Last line of the record", "记录的最后一行"),
    "no_results": (
        "There are no test results yet: results.json has not been written.",
        "还没有测试结果：results.json 尚未生成。",
    ),
    "no_curves": ("No loss or metric has been recorded yet.", "尚未记录任何损失或指标。"),
    # Metrics
    "metrics": ("Test results", "测试结果"),
    "metric": ("Metric", "指标"),
    "value": ("Value", "数值"),
    "interval": ("95 % interval", "95 % 区间"),
    "chance": ("Chance", "随机水平"),
    "baseline": ("Best trivial baseline", "最佳平凡基线"),
    "gain": ("Gain over it, 95 %", "相对基线的增益，95 %"),
    "samples": ("n", "样本数"),
    "positives": ("Positives", "正样本数"),
    "groups": ("Groups", "组数"),
    "picture": ("On the scale", "图示"),
    "headline": ("headline", "主要指标"),
    "unreliable": ("unreliable", "不可靠"),
    "few_groups": ("fewer than 10 groups: unreliable", "组数不足 10：不可靠"),
    "interval_note": (
        "Intervals resample whole groups (scenarios, patients, scenes), never single frames of one. "
        "In the picture: dot = value, bar = interval, dashed = chance, triangle = baseline.",
        "区间以组（场景、患者）为单位重采样，绝不按同一组中的单帧重采样。图示：圆点为数值，横条为区间，虚线为随机水平，三角为基线。",
    ),
    "selection": ("Validation (used to choose)", "验证集（用于选择）"),
    "by_kind": ("By kind", "按类别"),
    "kind": ("Kind", "类别"),
    "by_kind_note": (
        "Each kind against the same negatives: all normal frames, returns or pixels of the test split. "
        "Descriptive: no claim rests on it.",
        "每一类别都与相同的负样本比较：测试集中全部正常帧、回波或像素。仅作描述，不支撑任何结论。",
    ),
    "by_size": ("By size", "按大小"),
    "by_valve": ("By valve (boxes)", "按瓣膜（检测框）"),
    "valve": ("Valve", "瓣膜"),
    "valve_note": (
        "Average precision and rates of each valve, at the threshold chosen on validation. "
        "Below a value stand its interval over patients and the best trivial baseline.",
        "每个瓣膜的平均精度及各项比率，阈值在验证集上选定。数值下方为按患者计算的区间和最佳平凡基线。",
    ),
    "patients_with": ("Patients with it", "含该瓣膜的患者数"),
    "by_view": ("By view (of the image)", "按切面（整幅图像）"),
    "view": ("View", "切面"),
    "view_given_valve": ("View, given the valve", "给定瓣膜时的切面"),
    "given_note": (
        "Among images with this valve: how often the view is right, beside the most frequent view of that valve in the "
        "training split. View and valve go together, and this shows what is known beyond the valve.",
        "在含该瓣膜的图像中切面判断正确的比例，与训练集中该瓣膜最常见的切面相比。"
        "切面与瓣膜相关，此表显示超出瓣膜本身所含的信息。",
    ),
    "labelled_as": ("Labelled", "标注"),
    "answered": ("Answered", "回答"),
    "images": ("Images", "图像数"),
    "patients": ("Patients", "患者数"),
    "largest_patient": ("Images of the patient with most", "图像最多的患者的图像数"),
    "gradients": ("Gradients of the tasks", "各任务的梯度"),
    "gradients_note": (
        "Cosine between the gradients of two tasks at the layer they share: below 0 they pull apart.",
        "两个任务在共享层上梯度的余弦：低于 0 时方向相背。",
    ),
    "mean_cosine": ("Mean cosine", "平均余弦"),
    "negative_share": ("Share below 0", "低于 0 的比例"),
    "measured_steps": ("Measured steps", "测量步数"),
    "no_interval": ("no interval", "无区间"),
    "trivial_best": ("best trivial", "最佳平凡基线"),
    "voxels": ("Voxels", "体素"),
    "voxels_note": (
        "A voxel has the highest score of its returns. Intersection is the published practice: it leaves out the "
        "anomalous voxels that no return fell into. Union counts them as missed.",
        "体素得分取其回波的最高得分。交集为已公布的做法：没有回波落入的异常体素被忽略；并集将其计为漏检。",
    ),
    "protocol": ("Protocol", "协议"),
    "missed": ("Without a return", "无回波"),
    "components": ("Components", "连通区域"),
    "components_note": (
        "SegmentMeIfYouCan's component metrics over all test frames. The threshold was chosen on validation "
        "(best pixel F1), not on test as the benchmark does:",
        "SegmentMeIfYouCan 的连通区域指标，覆盖全部测试帧。"
        "阈值在验证集上选定（像素 F1 最佳），而非像该基准那样在测试集上选定：",
    ),
    "sizes": ("Sizes", "尺寸"),
    "least_called": ("Least pixels, predicted", "预测的最小像素数"),
    "least_truth": ("Least pixels, annotated", "标注的最小像素数"),
    "mean_siou": ("Mean sIoU", "平均 sIoU"),
    "mean_ppv": ("Mean PPV", "平均 PPV"),
    "mean_f1": ("Mean F1", "平均 F1"),
    "truths": ("Annotated", "标注数"),
    "called": ("Predicted", "预测数"),
    "reference": ("Beside it: a method that saw no labels", "对照：未使用任何标签的方法"),
    "reference_note": (
        "A method of its own on the same test split, made of normal scenarios alone. It is no trivial baseline and "
        "no check reads it.",
        "在同一测试集上的独立方法，仅由正常场景构成。它不是平凡基线，任何检查都不读取它。",
    ),
    "gain_of_run": ("This run over it, 95 %", "本次运行相对其的增益，95 %"),
    "bank": ("Bank", "记忆库"),
    "features": ("Features", "特征"),
    "entries": ("Entries", "条目数"),
    "chosen_from": ("Chosen from patches", "候选图块数"),
    "normal_frames": ("Normal frames, for the banks + held out for the scale", "正常帧：建库 + 留出用于定标"),
    "seconds_taken": ("Seconds, to make + to score", "秒数：建库 + 打分"),
    # Checks
    "checks": ("Checks", "检查"),
    "check": ("Check", "检查项"),
    "result": ("Result", "结果"),
    "ci95": ("95 % interval", "95 % 区间"),
    "gain_ci95": ("Gain over it, 95 %", "相对基线的增益，95 %"),
    "baseline_name": ("Baseline", "基线"),
    "n": ("n", "样本数"),
    "found": ("What was found", "发现"),
    "bound": ("Bound", "界限"),
    "evidence": ("Evidence", "证据"),
    "to_settle": ("To settle it", "如何确认"),
    "pass": ("passed", "通过"),
    "fail": ("failed", "未通过"),
    "crashed": ("crashed", "检查出错"),
    "waived": ("waived", "已豁免"),
    "refutes": ("refutes", "足以否定"),
    "unproves": ("leaves it unproven", "使其无法证实"),
    "notes": ("for information", "仅供参考"),
    "no_checks": ("No check has run yet.", "尚未运行任何检查。"),
    "not_run": ("Checks that did not run", "未运行的检查"),
    "did_not_run": ("did not run", "未运行"),
    "see_all": ("--json names all", "用 --json 查看全部"),
    "not_run_means": (
        "A check that did not run never counts as passed.",
        "未运行的检查绝不算作通过。",
    ),
    "reason": ("Reason", "原因"),
    "waivers": ("Waivers", "豁免"),
    "waivers_mean": (
        "A waived check counts as not run, and no waiver lifts REFUTED.",
        "被豁免的检查视为未运行，任何豁免都不能撤销“已否定”。",
    ),
    "until": ("Until", "有效期至"),
    # Figures
    "training": ("Training", "训练过程"),
    "losses": ("Loss terms, unweighted", "损失各项（未加权）"),
    "validation": ("Validation metric", "验证指标"),
    "step": ("optimiser step", "优化步数"),
    "loss": ("loss", "损失"),
    "best": ("best", "最佳"),
    "kept": ("kept", "保留"),
    "balancing": ("Balancing of the tasks", "任务之间的平衡"),
    "balancer": ("Balancer", "平衡方法"),
    "balancing_note": (
        "Weight: what multiplies a task's loss, or its gradient where gradients are combined. Loss ratio: a loss over "
        "its first value, divided by the mean of that over the tasks; above 1 a task lags behind. Gradient norm: of "
        "the loss without its weight. Cosine: between the gradients of two tasks; below 0 they pull apart. Where a "
        "point stands for several measured steps it is their mean; the band goes from the least to the most of them.",
        "权重：与任务损失相乘的系数；在合并梯度的方法中与其梯度相乘。损失比：损失除以其初始值，再除以各任务的平均；"
        "高于 1 表示该任务落后。梯度范数：未加权损失的梯度范数。余弦：两个任务梯度之间的余弦；低于 0 时方向相背。"
        "一个点代表多个测量步时取其平均，色带为其最小值到最大值。",
    ),
    "at_shared": ("Measured at the parameters that the tasks share.", "在各任务共享的参数上测量。"),
    "at_all": (
        "The network declares no shared parameters: measured over all of its parameters.",
        "网络未声明共享参数：在其全部参数上测量。",
    ),
    "task_weight": ("weight of the task (no unit)", "任务权重（无量纲）"),
    "task_ratio": ("loss ratio (no unit)", "损失比（无量纲）"),
    "task_norm": ("gradient norm (loss per unit of parameter)", "梯度范数（损失 / 单位参数）"),
    "task_cosine": ("cosine of the gradients (no unit)", "梯度余弦（无量纲）"),
    "mean_of_tasks": ("1: the mean of the tasks", "1：各任务的平均"),
    "right_angles": ("0: neither helps nor hinders the other", "0：互不促进也互不妨碍"),
    "ranking": ("ROC and precision-recall", "ROC 与精确率-召回率曲线"),
    "ranking_note": (
        "The ring marks the threshold chosen on validation, on the curve. A curve is drawn on a grid, and precision as "
        "the best at this recall or more; where the threshold itself lies off it, its value stands in brackets.",
        "圆环标出在验证集上选定的阈值在曲线上的位置。曲线按网格绘制，精确率取该召回率及以上的最佳值；"
        "若阈值本身不在曲线上，括号中给出其数值。",
    ),
    "bands_note": ("Bands are 95 % over groups.", "色带为按组计算的 95 % 区间。"),
    "fpr": ("false positive rate", "假正率"),
    "tpr": ("true positive rate", "真正率"),
    "recall": ("recall", "召回率"),
    "precision": ("precision", "精确率"),
    "chosen": ("chosen threshold", "选定阈值"),
    "confusion": ("Confusion at the chosen threshold", "选定阈值下的混淆矩阵"),
    "view_confusion": ("Confusion of the views (the most probable one)", "视图的混淆矩阵（取概率最大者）"),
    "no_confusion": ("This run has no confusion matrix.", "该运行没有混淆矩阵。"),
    "confusion_note": (
        "Frames of the test split. The threshold was chosen on validation only:",
        "测试集的帧。阈值仅在验证集上选定：",
    ),
    "actual_positive": ("anomalous", "实际异常"),
    "actual_negative": ("normal", "实际正常"),
    "said_positive": ("said anomalous", "判为异常"),
    "said_negative": ("said normal", "判为正常"),
    "of_row": ("of its row", "占该行"),
    "gallery": ("Worst errors, beside random frames", "最严重的错误与随机帧对照"),
    "worst misses": ("Worst misses", "最严重的漏报"),
    "worst false alarms": ("Worst false alarms", "最严重的误报"),
    "wrong views": ("Wrong views", "切面判断错误"),
    "random frames": ("Random frames", "随机帧"),
    "gallery_note": (
        "Random frames stand beside the errors so that nobody has to trust a hand-picked example.",
        "错误旁边列出随机帧，以免只看挑选过的例子。",
    ),
    "label": ("label", "标签"),
    "score": ("score", "得分"),
    "anomalous": ("anomalous", "异常"),
    "normal": ("normal", "正常"),
    "no_picture": ("The picture is missing or cannot be read.", "图片缺失或无法读取。"),
    "camera": ("camera", "相机"),
    "from_above": ("points from above", "点云俯视图"),
    "predicted_frames": ("Predicted frames", "预测的帧"),
    "skip_frames": ("Skip to the frames", "跳到各帧"),
    "on_this_page": (
        "evenly spaced ones on this page; predictions.json has all",
        "本页为等间隔选取；全部见 predictions.json",
    ),
    "threshold": ("Threshold", "阈值"),
    "chosen_on_val": ("best F1 on validation", "验证集上 F1 最优"),
    "decision": ("decision", "判定"),
    "returns_scored": ("returns with a score", "有得分的回波"),
    "sheet_note": (
        "A score orders frames, returns or pixels; it is not a probability. Green marks what is labelled anomalous.",
        "得分只表示帧、回波或像素之间的排序，不是概率。绿色标出标注为异常的部分。",
    ),
    "predicted_images": ("Predicted images", "预测的图像"),
    "skip_images": ("Skip to the images", "跳到各图像"),
    "recordings_stay": (
        "This page holds pictures that are not made: keep it where the recordings may be.",
        "本页含有非人造的图像：请只保存在允许存放这些记录的地方。",
    ),
    "worst_first": (
        "The worst come first: most wrong answers, then the surest wrong answer.",
        "最差的在前：先按错误数，再按错误回答的把握程度排列。",
    ),
    "worst_on_page": ("the worst ones on this page; predictions.json has all", "本页为最差者；全部见 predictions.json"),
    "no_labels": ("There are no labels to hold these answers against.", "没有标注可供对照。"),
    "no_threshold": (
        "No threshold was chosen on validation; boxes are drawn from this score on:",
        "未在验证集上选定阈值；从以下得分起画框：",
    ),
    "boxes_note": (
        "Coloured boxes are predicted, with class and score; thin white boxes are labelled. A score orders boxes; it "
        "is not a probability. A box is right where it overlaps a labelled one of its class by half (IoU 0.5), one "
        "each.",
        "彩色框为预测，附类别与得分；细白框为标注。得分只表示检测框之间的排序，不是概率。"
        "与同类标注框重叠过半（IoU 0.5）的框算正确，每个标注框至多一个。",
    ),
    "boxes": ("Boxes", "检测框"),
    "labelled": ("Labels", "标注"),
    "missed_objects": ("missed", "漏检"),
    "false_alarms": ("false alarms", "误报"),
    "view_right": ("view right", "切面正确"),
    "view_wrong": ("view wrong", "切面错误"),
    "picture_boxes": ("boxes and view in the image", "图像中的检测框与切面"),
    "no_attention": ("No attention map", "没有注意力图"),
    "resized": ("Images of another size were resized (height x width)", "其他尺寸的图像已缩放（高 × 宽）"),
    "unread": ("Could not be read", "无法读取"),
    "picture_image": ("pixel scores over the image", "图像上的像素得分"),
    "picture_points": ("scores of returns from above", "回波得分俯视图"),
    "picture_attention": (
        "attention weights: what was mixed in, not what mattered",
        "注意力权重：表示混入了什么，不表示重要性",
    ),
    "picture_voxels": ("scores of half-metre voxels", "半米体素得分"),
    "kind_curves": ("Precision and recall of each kind", "各类别的精确率与召回率"),
    "kind_curves_note": (
        "Each kind's positives against all normals of the split. Dotted: the precision of random scores for that kind.",
        "每个类别的正样本与该划分中全部正常样本相比。点线：该类别随机得分的精确率。",
    ),
    "left_out": ("Left out, too few to draw a curve", "样本太少，未画曲线"),
    "controls": ("Controls", "对照实验"),
    "controls_mean": (
        "Runs that must fail for the claim to hold.",
        "若结论成立，这些运行必须失败。",
    ),
    "null": ("Held-out predictions against exchanged labels", "留出预测与交换标签的比较"),
    "permutations": ("permutations", "置换次数"),
    "observed": ("observed", "实际观测"),
    "exchanged": ("labels exchanged\nbetween groups", "组间交换标签"),
    "same_budget": ("Against runs that cannot have learned", "与不可能学到内容的运行比较"),
    "true_run": ("true labels,\nsame budget", "真实标签，\n相同预算"),
    "permuted": ("permuted labels", "置换标签"),
    "reinitialised": ("untrained\n(re-initialised)", "未训练\n（重新初始化）"),
    "this_run": ("this run", "本次运行"),
    # Cards
    "data_card": ("Data card", "数据卡"),
    "model_card": ("Model card", "模型卡"),
    "format": ("Format", "格式"),
    "licence": ("Licence", "许可证"),
    "commercial_use": ("Commercial use", "商业用途"),
    "split": ("Split", "划分"),
    "frames": ("Frames", "帧数"),
    "negatives": ("Negatives", "负样本数"),
    "unknown": ("Unknown", "未知"),
    "classes": ("Classes", "类别"),
    "dropped": ("Skipped files", "跳过的文件"),
    "file": ("File", "文件"),
    "task": ("Task", "任务"),
    "parameters": ("Parameters", "参数量"),
    "size_mb": ("Size, MB", "大小（MB）"),
    "latency_ms": ("Latency of one sample, ms", "单样本延迟（ms）"),
    "checkpoint": ("Checkpoint", "检查点"),
    "started_from": ("Training started from", "训练起始权重"),
    "taken": ("taken", "已采用"),
    "from_scratch": ("from scratch", "从零开始"),
    "started_means": (
        "What that file was trained on is not known: if it saw test images, the scores say less.",
        "该文件用哪些数据训练过不得而知：若其见过测试图像，分数的说服力会降低。",
    ),
    "epoch": ("Epoch", "轮次"),
    "sha256": ("SHA-256", "SHA-256"),
    "looks": ("Looks at the test split", "查看测试集的次数"),
    "intended_use": ("Intended use", "预期用途"),
    "intended_words": (
        "Research on data like the data described above. Not for safety decisions, and not beyond the claim judged "
        "here.",
        "用于与上述数据相似的数据上的研究。不得用于安全决策，也不得超出此处判定的结论范围。",
    ),
    "limits": ("Limits", "局限"),
    "limits_words": (
        "One run says nothing about other seeds, other sensors or other places. Groups, not frames, are what the "
        "intervals count.",
        "单次运行不能说明其他随机种子、其他传感器或其他地点的情况。区间以组而非帧为单位。",
    ),
    "recipe": ("Recipe", "训练配方"),
    "environment": ("Environment", "环境"),
    "packages": ("Packages", "软件包"),
    "reproduce": ("How to reproduce", "如何复现"),
    "reproduce_note": (
        "The recipe holds every option in full; the numbers on this page are read from the files of the run folder.",
        "训练配方包含全部选项；本页的数字均读自运行目录中的文件。",
    ),
    "audited_file": ("Audited file", "被审计的文件"),
    "foreign_note": (
        "The file was written by another program. The verdict says what the file itself shows, and no more.",
        "该文件由其他程序生成。结论只说明文件本身所展示的内容。",
    ),
    **RECIPE_WORDS,
    **RETRIEVAL_WORDS,
    **VOCABULARY_WORDS,
}


def say(key: str, language: Language = "en") -> str:
    """The words for ``key``; a key without an entry is its own word (metric and check names)."""
    pair = WORDS.get(key)
    return key if pair is None else pair[LANGUAGES.index(language)]


def pair(key: str) -> tuple[str, str]:
    """English and Chinese."""
    return WORDS[key]


def both(key: str) -> Markup:
    """Both languages as HTML; the page's style shows one of them."""
    english, chinese = WORDS[key]
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(english, chinese)


def check_language(language: str) -> Language:
    """The language, or an error that names those there are."""
    for known in LANGUAGES:
        if language == known:
            return known
    raise UsageError(f"no language '{language}'", expected=" or ".join(LANGUAGES), found=language)
