//! Resolves the settings of a resumed run: those of its training state, except a few that the user may change.

use training::{Error, Preset, RequestedSettings, Result, TrainConfig};

use crate::overrides::Overrides;
use crate::resolve::{DatasetDescription, resolve};

/// Copies one setting from the second configuration to the first.
type Copy = fn(&mut TrainConfig, TrainConfig);

/// The settings that may change when a run resumes, by the names of their flags. None of them affects the weights of
/// the networks at a given number of images.
const MAY_CHANGE: [(&str, Copy); 12] = [
    ("kimg", |to, from| to.total_kimg = from.total_kimg),
    ("snap", |to, from| {
        to.network_snapshot_ticks = from.network_snapshot_ticks;
    }),
    ("image-snap", |to, from| {
        to.image_snapshot_ticks = from.image_snapshot_ticks;
    }),
    ("state-every", |to, from| to.state_ticks = from.state_ticks),
    ("keep-states", |to, from| to.keep_states = from.keep_states),
    ("keep", |to, from| to.keep_snapshots = from.keep_snapshots),
    ("metrics", |to, from| to.metrics = from.metrics),
    ("metrics-every", |to, from| {
        to.metrics_ticks = from.metrics_ticks;
    }),
    ("features", |to, from| to.features = from.features),
    ("weights", |to, from| to.weights = from.weights),
    ("stop-on-collapse", |to, from| {
        to.stop_on_collapse = from.stop_on_collapse;
    }),
    ("workers", |to, from| to.num_workers = from.num_workers),
];

/// The names of the flags that may change settings of a resumed run.
pub fn may_change() -> impl Iterator<Item = &'static str> {
    MAY_CHANGE.iter().map(|(name, _)| *name)
}

/// Returns the configuration of a resumed run: `saved`, the configuration in its training state, with those settings of
/// `flags` replaced that may change. All other settings in `flags`, and `preset`, must equal those of the run, so the
/// run's own settings file can be given again.
///
/// # Errors
/// `Setting`, with the names of all given settings that cannot change, or of one that is invalid.
pub fn resumed_with(
    saved: &TrainConfig,
    preset: Option<Preset>,
    flags: &Overrides,
) -> Result<TrainConfig> {
    let given = flags.given();
    let mut fixed = Vec::new();
    if let (Some(preset), requested) = (preset, &saved.requested)
        && requested
            .as_ref()
            .is_none_or(|requested| requested.preset != preset)
    {
        fixed.push("cfg".to_owned());
    }
    let mut config = saved.clone();
    for (name, value) in given {
        let copy = MAY_CHANGE.iter().find(|(known, _)| *known == name);
        let mut requested = saved.requested.clone().unwrap_or(RequestedSettings {
            preset: Preset::Auto,
            overrides: serde_json::Map::new(),
        });
        requested.overrides.insert(name.clone(), value.clone());
        match copy {
            Some((_, copy)) => {
                copy(&mut config, resolve_again(saved, requested)?);
                if let Some(requested) = &mut config.requested {
                    requested.overrides.insert(name, value);
                }
            }
            None if is_unchanged(saved, requested) => {}
            None => fixed.push(name),
        }
    }
    if fixed.is_empty() {
        return Ok(config);
    }
    let may_change: Vec<&str> = may_change().collect();
    Err(Error::setting(
        "resume",
        format!(
            "a run resumes with the settings that it was started with; {} cannot change, only {} and data (moved) can. \
             To start a new run from its networks use --init-from with the run's folder",
            fixed.join(", "),
            may_change.join(", "),
        ),
    ))
}

/// Whether the settings `requested` lead to the same configuration as those of the saved run.
fn is_unchanged(saved: &TrainConfig, requested: RequestedSettings) -> bool {
    let without_names = |config: TrainConfig| TrainConfig {
        // The description contains every setting that was given, even when it equals that of the preset.
        desc: String::new(),
        requested: None,
        ..config
    };
    let Some(before) = saved.requested.clone() else {
        return false;
    };
    match (
        resolve_again(saved, before),
        resolve_again(saved, requested),
    ) {
        (Ok(before), Ok(after)) => without_names(before) == without_names(after),
        _ => false,
    }
}

/// Resolves the settings `requested` for a dataset with the properties of the saved run's dataset.
fn resolve_again(saved: &TrainConfig, requested: RequestedSettings) -> Result<TrainConfig> {
    let dataset = DatasetDescription {
        name: String::new(),
        path: saved.dataset.path.clone(),
        resolution: saved.generator.img_resolution,
        num_channels: saved.generator.img_channels,
        // A run has a seed of the subset only if its dataset has more images than the subset.
        num_images: saved.dataset.max_size + usize::from(saved.dataset.random_seed.is_some()),
        label_dim: saved.generator.c_dim,
        fingerprint: None,
    };
    resolve(
        requested.preset,
        &dataset,
        &Overrides::from_given(requested.overrides)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> TrainConfig {
        let dataset = DatasetDescription {
            name: "faces".into(),
            path: "faces.zip".into(),
            resolution: 64,
            num_channels: 3,
            num_images: 100,
            label_dim: 0,
            fingerprint: None,
        };
        let flags = Overrides {
            kimg: Some(10),
            gamma: Some(0.5),
            subset: Some(50),
            ada_max_p: Some(f64::INFINITY),
            ..Overrides::default()
        };
        let config = resolve(Preset::Tiny64, &dataset, &flags).unwrap();
        // Serialize and deserialize, as when it is read from a training state.
        serde_json::from_value(serde_json::to_value(config).unwrap()).unwrap()
    }

    #[test]
    fn what_may_change_changes_and_nothing_else_does() {
        let before = saved();
        let flags = Overrides {
            kimg: Some(20),
            snap: Some(3),
            keep_states: Some(5),
            features: Some("random-inception".into()),
            ..Overrides::default()
        };
        let after = resumed_with(&before, None, &flags).unwrap();
        assert_eq!((after.total_kimg, after.network_snapshot_ticks), (20, 3));
        assert_eq!((after.keep_states, after.image_snapshot_ticks), (5, 10));
        assert_eq!(after.features, "random-inception");
        let restored = TrainConfig {
            total_kimg: before.total_kimg,
            network_snapshot_ticks: before.network_snapshot_ticks,
            keep_states: before.keep_states,
            features: before.features.clone(),
            requested: before.requested.clone(),
            ..after
        };
        assert_eq!(restored, before);
        let flags = Overrides {
            snap: Some(0),
            ..Overrides::default()
        };
        let error = resumed_with(&before, None, &flags).unwrap_err().to_string();
        assert!(error.starts_with("snap: 0 must be"), "{error}");
    }

    #[test]
    fn the_settings_of_the_run_are_no_change_and_others_are_named() {
        let before = saved();
        let same = Overrides {
            kimg: Some(10),
            gamma: Some(0.5),
            subset: Some(50),
            ada_max_p: Some(f64::INFINITY),
            // The value that the preset has.
            batch: Some(16),
            ..Overrides::default()
        };
        let after = resumed_with(&before, Some(Preset::Tiny64), &same).unwrap();
        assert_eq!(after, before);
        let other = Overrides {
            gamma: Some(0.7),
            batch: Some(32),
            kimg: Some(20),
            ..Overrides::default()
        };
        let error = resumed_with(&before, Some(Preset::Auto), &other);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cfg, batch, gamma cannot change"), "{error}");
    }
}
