//! The fields of each kind, one row each: what the published schemas are made of.

use Type::*;

/// What a field takes.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    /// A mapping with exactly the fields that further rows give it.
    Fields,
    /// A list of such mappings.
    ListOfFields,
    Text,
    Words(&'static [&'static str]),
    /// A whole number from and to.
    Whole(u64, u64),
    Boolean,
    Texts,
    ListOfWhole(u64, u64),
    /// Strings by any key.
    TextByKey,
    /// Lists of strings by any key.
    TextsByKey,
    /// Strings by one of these keys.
    TextByWord(&'static [&'static str]),
    Anything,
}

/// Path of a field (`!` behind it: required), what it takes, and what it means.
pub(crate) type Row = (&'static str, Type, &'static str);

const OPERATORS: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist"];

pub(crate) const KERNEL_CHAOS: &[Row] = &[
    (
        "apiVersion!",
        Words(&["chaos-mesh.org/v1alpha1", "pingcap.com/v1alpha1", "faultline.dev/v1alpha1"]),
        "The group is no part of an experiment's identity.",
    ),
    ("kind!", Words(&["KernelChaos"]), "One experiment."),
    ("metadata!", Fields, "Whose experiment it is."),
    ("metadata.name!", Text, "Name of the experiment."),
    ("metadata.namespace", Text, "Namespace of the experiment; `default` where it is left out."),
    ("metadata.labels", TextByKey, "Labels, for guardrails."),
    (
        "metadata.annotations",
        TextByKey,
        "Those under faultline.dev/ are rerun, replace, owner, ticket and expires-at.",
    ),
    ("spec!", Fields, "What is asked for."),
    (
        "spec.mode!",
        Words(&["one", "all", "fixed", "fixed-percent", "random-max-percent"]),
        "How many of the selected pods are hit.",
    ),
    (
        "spec.value",
        Text,
        "A number in quotes: how many pods, or how many percent of them, for the modes that take one.",
    ),
    ("spec.selector!", Fields, "Which pods may be hit: every field must hold."),
    ("spec.selector.namespaces", Texts, "Namespaces; the experiment's own where it is left out."),
    ("spec.selector.nodes", Texts, "Names of nodes."),
    ("spec.selector.pods", TextsByKey, "Names of pods by namespace."),
    ("spec.selector.nodeSelectors", TextByKey, "Labels of the pod's node."),
    ("spec.selector.fieldSelectors", TextByWord(&faultline_api::selector::FIELD_KEYS), "Fields of the pod."),
    ("spec.selector.labelSelectors", TextByKey, "Labels of the pod."),
    ("spec.selector.expressionSelectors", ListOfFields, "Requirements on labels of the pod."),
    ("spec.selector.expressionSelectors.key!", Text, "The label."),
    ("spec.selector.expressionSelectors.operator!", Words(OPERATORS), "What is required of it."),
    ("spec.selector.expressionSelectors.values", Texts, "Values, for In and NotIn."),
    ("spec.selector.annotationSelectors", TextByKey, "Annotations of the pod."),
    (
        "spec.selector.podPhaseSelectors",
        Texts,
        "Phases of the pod: Pending, Running, Succeeded, Failed, Unknown.",
    ),
    ("spec.containerNames", Texts, "Names of containers; each pod's first where it is left out."),
    ("spec.duration", Text, "How long a run lasts, as Go writes it: 90s, 1h30m."),
    ("spec.scheduler", Fields, "Not supported yet."),
    ("spec.scheduler.cron!", Text, "When to run."),
    ("spec.failKernRequest!", Fields, "What fails."),
    (
        "spec.failKernRequest.callchain",
        ListOfFields,
        "Functions on the way to the one that fails, outermost first.",
    ),
    (
        "spec.failKernRequest.callchain.funcname",
        Text,
        "Name of the function, as /proc/kallsyms has it. Only the last frame may do without: its predicate is then that \
         of the function that fails.",
    ),
    (
        "spec.failKernRequest.callchain.parameters",
        Text,
        "Parameters of the function as declarations of C, for a predicate; where they are left out, they have the \
         kernel's own names and types.",
    ),
    (
        "spec.failKernRequest.callchain.predicate",
        Text,
        "An expression of C that must hold at the function's entry, such as STRNCMP(name->name, \"bananas\", 8).",
    ),
    ("spec.failKernRequest.failtype", Whole(0, 2), "0: slab allocations, 1: page allocations, 2: block IO."),
    (
        "spec.failKernRequest.function",
        Fields,
        "In faultline.dev only, in place of failtype. Not supported yet.",
    ),
    ("spec.failKernRequest.function.name!", Text, "Name of the function that fails."),
    ("spec.failKernRequest.function.errno!", Text, "The error it fails with."),
    ("spec.failKernRequest.headers", Texts, "Accepted and ignored."),
    (
        "spec.failKernRequest.probability",
        Whole(0, 100),
        "Chance in percent; 100 where it is left out, and 0 never injects.",
    ),
    (
        "spec.failKernRequest.times",
        Whole(0, i64::MAX.unsigned_abs()),
        "Most injections per target; 0 and nothing are no limit.",
    ),
    ("status", Anything, "Set by a server, and ignored."),
];

pub(crate) const GUARDRAIL: &[Row] = &[
    ("apiVersion!", Words(&["faultline.dev/v1alpha1"]), "The only version."),
    ("kind!", Words(&["Guardrail"]), "A policy bound to a module and settings."),
    ("metadata!", Fields, "What it is called."),
    ("metadata.name!", Text, "Name of the guardrail."),
    ("metadata.namespace", Text, "Means nothing: a guardrail holds everywhere."),
    ("metadata.labels", TextByKey, "Labels."),
    ("metadata.annotations", TextByKey, "Annotations."),
    ("spec!", Fields, "What it judges, and how."),
    ("spec.module!", Fields, "The WebAssembly module."),
    ("spec.module.path", Text, "Path of the module, relative to the root of the source."),
    (
        "spec.module.oci",
        Text,
        "In place of a path: the module in an OCI registry, as registry/repository@sha256:<digest of its manifest>.",
    ),
    (
        "spec.mode",
        Words(&["protect", "monitor"]),
        "monitor reports and never acts; protect where it is left out.",
    ),
    (
        "spec.allowedToMutate",
        Boolean,
        "Where it is false, a tightening is a denial; true where it is left out.",
    ),
    ("spec.match", Fields, "What it judges; everything where it is left out."),
    ("spec.match.namespaces", Texts, "Globs over the namespaces of the targets."),
    ("spec.match.failtypes", ListOfWhole(0, 2), "Failtypes."),
    ("spec.match.sources", Texts, "Names of sources."),
    ("spec.match.namespaceSelector", Fields, "Labels of a target's namespace, as Kubernetes selects them."),
    ("spec.match.namespaceSelector.matchLabels", TextByKey, "Labels with their values."),
    ("spec.match.namespaceSelector.matchExpressions", ListOfFields, "Requirements on labels."),
    ("spec.match.namespaceSelector.matchExpressions.key!", Text, "The label."),
    ("spec.match.namespaceSelector.matchExpressions.operator!", Words(OPERATORS), "What is required of it."),
    ("spec.match.namespaceSelector.matchExpressions.values", Texts, "Values, for In and NotIn."),
    ("spec.match.labelSelector", Fields, "Labels of a target's pod, as Kubernetes selects them."),
    ("spec.match.labelSelector.matchLabels", TextByKey, "Labels with their values."),
    ("spec.match.labelSelector.matchExpressions", ListOfFields, "Requirements on labels."),
    ("spec.match.labelSelector.matchExpressions.key!", Text, "The label."),
    ("spec.match.labelSelector.matchExpressions.operator!", Words(OPERATORS), "What is required of it."),
    ("spec.match.labelSelector.matchExpressions.values", Texts, "Values, for In and NotIn."),
    ("spec.exclude", Fields, "What it does not judge though it matches."),
    ("spec.exclude.namespaces", Texts, "Globs over the namespaces of the targets."),
    ("spec.exclude.failtypes", ListOfWhole(0, 2), "Failtypes."),
    ("spec.exclude.sources", Texts, "Names of sources."),
    ("spec.exclude.namespaceSelector", Fields, "Labels of a target's namespace, as Kubernetes selects them."),
    ("spec.exclude.namespaceSelector.matchLabels", TextByKey, "Labels with their values."),
    ("spec.exclude.namespaceSelector.matchExpressions", ListOfFields, "Requirements on labels."),
    ("spec.exclude.namespaceSelector.matchExpressions.key!", Text, "The label."),
    (
        "spec.exclude.namespaceSelector.matchExpressions.operator!",
        Words(OPERATORS),
        "What is required of it.",
    ),
    ("spec.exclude.namespaceSelector.matchExpressions.values", Texts, "Values, for In and NotIn."),
    ("spec.exclude.labelSelector", Fields, "Labels of a target's pod, as Kubernetes selects them."),
    ("spec.exclude.labelSelector.matchLabels", TextByKey, "Labels with their values."),
    ("spec.exclude.labelSelector.matchExpressions", ListOfFields, "Requirements on labels."),
    ("spec.exclude.labelSelector.matchExpressions.key!", Text, "The label."),
    ("spec.exclude.labelSelector.matchExpressions.operator!", Words(OPERATORS), "What is required of it."),
    ("spec.exclude.labelSelector.matchExpressions.values", Texts, "Values, for In and NotIn."),
    ("spec.settings", Anything, "Handed to the module."),
    ("spec.message", Text, "Added to each denial."),
    ("spec.exceptions", ListOfFields, "Experiments on which it does not act for a while."),
    ("spec.exceptions.experiments!", Texts, "Globs over namespace/name of the experiments."),
    ("spec.exceptions.expiresAt!", Text, "From this instant on (RFC 3339) it acts again."),
    ("spec.exceptions.reason!", Text, "Why it was granted."),
    ("spec.exceptions.ticket", Text, "Where that was agreed."),
    ("status", Anything, "Set by a server, and ignored."),
];
