//! Labels of compared runs, which name the settings in which the runs differ.

use std::collections::BTreeSet;
use std::path::Path;

use report::short;
use run_folder::RunRecord;
use serde_json::Value;

use crate::augmentation::RunAugmentation;

/// The names of a run on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLabel {
    /// The settings in which this run differs from others, such as `ADA blit,geom`. Runs that differ only in their seed
    /// have the same group.
    pub group: String,
    /// The group and, where several runs share it, the seed or the folder. Unique unless folders have the same name.
    pub name: String,
}

/// Describes one setting of a run in words, from its `training_options.json`; `None` where it is missing.
type Describe = fn(&RunRecord) -> Option<String>;

/// The settings that may appear in labels. A label contains those in which the runs differ.
const SETTINGS: [Describe; 14] = [
    |run| file_stem(run.option(&["training_set_kwargs", "path"])),
    |run| {
        Some(format!(
            "{} images",
            run.option(&["training_set_kwargs", "max_size"]).as_u64()?
        ))
    },
    |run| {
        let from = run.option(&["resume_pkl"]);
        Some(
            file_stem(from)
                .map_or_else(|| "from scratch".to_owned(), |name| format!("from {name}")),
        )
    },
    |run| {
        let frozen = run.option(&["D_kwargs", "block_kwargs", "freeze_layers"]);
        Some(format!("freeze-D {}", frozen.as_u64().unwrap_or(0)))
    },
    |run| {
        Some(
            if run.option(&["training_set_kwargs", "xflip"]).as_bool()? {
                "mirrored"
            } else {
                "not mirrored"
            }
            .to_owned(),
        )
    },
    |run| {
        Some(format!(
            "{} px",
            run.option(&["training_set_kwargs", "resolution"])
                .as_u64()?
        ))
    },
    |run| {
        number(
            run,
            "cbase",
            &["G_kwargs", "synthesis_kwargs", "channel_base"],
        )
    },
    |run| {
        number(
            run,
            "cmax",
            &["G_kwargs", "synthesis_kwargs", "channel_max"],
        )
    },
    |run| number(run, "batch", &["batch_size"]),
    |run| number(run, "gamma", &["loss_kwargs", "r1_gamma"]),
    |run| number(run, "glr", &["G_opt_kwargs", "lr"]),
    |run| number(run, "dlr", &["D_opt_kwargs", "lr"]),
    |run| number(run, "ema", &["ema_kimg"]),
    |run| number(run, "target", &["ada_target"]),
];

fn number(run: &RunRecord, name: &str, keys: &[&str]) -> Option<String> {
    Some(format!("{name} {}", short(run.option(keys).as_f64()?)))
}

/// The file name in a path, without folders and extension; `None` when the value is not text.
fn file_stem(path: &Value) -> Option<String> {
    let name = path.as_str()?.rsplit(['/', '\\']).next()?;
    Some(Path::new(name).file_stem()?.to_string_lossy().into_owned())
}

/// One label for each run, in the order of `runs`.
pub fn labels(runs: &[RunRecord]) -> Vec<RunLabel> {
    // A setting that some runs lack, such as the target of ADA, counts as different only if two runs have different
    // values.
    let differs = |describe: &Describe| {
        let texts: BTreeSet<String> = runs.iter().filter_map(describe).collect();
        texts.len() > 1
    };
    let settings: Vec<&Describe> = SETTINGS.iter().filter(|s| differs(s)).collect();
    let groups: Vec<String> = runs
        .iter()
        .map(|run| {
            // A run without options can only be named by its folder.
            let Some(augmentation) = RunAugmentation::of(run) else {
                return folder(run);
            };
            let parts = settings.iter().filter_map(|describe| describe(run));
            let parts: Vec<String> = std::iter::once(augmentation.to_string())
                .chain(parts)
                .collect();
            parts.join(", ")
        })
        .collect();
    let seed = |run: &RunRecord| run.option(&["random_seed"]).as_u64();
    runs.iter()
        .zip(&groups)
        .map(|(run, group)| {
            let same = || {
                runs.iter()
                    .zip(&groups)
                    .filter(|(_, other)| *other == group)
            };
            let same_seed = same().filter(|(other, _)| seed(other) == seed(run)).count();
            let name = match (same().count(), same_seed, seed(run)) {
                (1, ..) => group.clone(),
                (_, 1, Some(seed)) => format!("{group}, seed {seed}"),
                _ => format!("{group} ({})", folder(run)),
            };
            // Runs with equal settings and equal seeds are separate groups, as a mean over seeds makes no sense for
            // them.
            let group = if same_seed > 1 { &name } else { group };
            RunLabel {
                group: group.clone(),
                name,
            }
        })
        .collect()
}

/// The name of a run's folder, with the name of its parent folder.
fn folder(run: &RunRecord) -> String {
    let path = run.path.canonicalize().unwrap_or_else(|_| run.path.clone());
    let above = path.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}", above.to_string_lossy(), run.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(options: &[Value]) -> Vec<RunLabel> {
        let folder = tempfile::tempdir().unwrap();
        let runs: Vec<RunRecord> = options
            .iter()
            .enumerate()
            .map(|(i, options)| {
                let path = folder.path().join(format!("{i:05}-run"));
                std::fs::create_dir(&path).unwrap();
                std::fs::write(path.join("training_options.json"), options.to_string()).unwrap();
                RunRecord::open(&path).unwrap()
            })
            .collect();
        labels(&runs)
    }

    #[test]
    fn runs_are_called_by_what_differs() {
        let pipe =
            json!({"class_name": "x", "xflip": 1, "rotate90": 1, "xint": 1, "scale_std": 0.2});
        let of =
            |labels: Vec<RunLabel>| -> Vec<String> { labels.into_iter().map(|l| l.name).collect() };
        let ada = json!({"ada_target": 0.6, "augment_kwargs": pipe, "random_seed": 0});
        let none = json!({"random_seed": 0});
        assert_eq!(
            of(names(&[ada.clone(), none.clone()])),
            ["ADA blit", "no augmentation"]
        );
        let fine_tuned = json!({"resume_pkl": "a/drawn64.safetensors", "random_seed": 0});
        assert_eq!(
            of(names(&[none.clone(), fine_tuned])),
            [
                "no augmentation, from scratch",
                "no augmentation, from drawn64"
            ]
        );
        let again = json!({"random_seed": 1});
        let labels = names(&[none.clone(), again]);
        assert_eq!(labels[0].group, labels[1].group);
        assert_eq!(labels[1].name, "no augmentation, seed 1");
        let same = names(&[none.clone(), none]);
        assert_ne!(same[0], same[1]);
        assert_ne!(same[0].group, same[1].group);
    }
}
