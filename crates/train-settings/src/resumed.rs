//! The settings of a run that goes on: those it was begun with, and the few that may change on the way.

use training::{Asked, Error, Preset, Result, TrainConfig};

use crate::overrides::Overrides;
use crate::resolve::{DatasetDescription, resolve};

/// Takes one setting over from another configuration.
type Take = fn(&mut TrainConfig, TrainConfig);

/// What may change, by flag: none of it changes what is computed.
const MAY_CHANGE: [(&str, Take); 12] = [
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

/// The flags that [`resumed_with`] lets change.
pub fn may_change() -> impl Iterator<Item = &'static str> {
    MAY_CHANGE.iter().map(|(name, _)| *name)
}

/// The configuration of a run with other settings, of those that a run may change on the way. What is typed again as it was
/// is no change, so that the settings file of a run can be given when it is resumed.
///
/// # Errors
/// `Setting`, naming every setting that cannot change, or that cannot be.
pub fn resumed_with(
    begun: &TrainConfig,
    preset: Option<Preset>,
    flags: &Overrides,
) -> Result<TrainConfig> {
    let typed = flags.typed();
    let mut fixed = Vec::new();
    if let (Some(preset), asked) = (preset, &begun.asked)
        && asked.as_ref().is_none_or(|asked| asked.preset != preset)
    {
        fixed.push("cfg".to_owned());
    }
    let mut config = begun.clone();
    for (name, value) in typed {
        let take = MAY_CHANGE.iter().find(|(known, _)| *known == name);
        let mut asked = begun.asked.clone().unwrap_or(Asked {
            preset: Preset::Auto,
            overrides: serde_json::Map::new(),
        });
        asked.overrides.insert(name.clone(), value.clone());
        match take {
            Some((_, take)) => {
                take(&mut config, resolve_again(begun, asked)?);
                if let Some(asked) = &mut config.asked {
                    asked.overrides.insert(name, value);
                }
            }
            None if is_as_asked(begun, asked) => {}
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
            "a run goes on with the settings that it was begun with; {} cannot change, only {} and data (moved) can. \
             To start a new run from its networks use --init-from with the run's folder",
            fixed.join(", "),
            may_change.join(", "),
        ),
    ))
}

/// Whether these wishes lead to the run that was begun.
fn is_as_asked(begun: &TrainConfig, asked: Asked) -> bool {
    let plain = |config: TrainConfig| TrainConfig {
        // The name tells what was typed, even where it equals the preset.
        desc: String::new(),
        asked: None,
        ..config
    };
    let Some(before) = begun.asked.clone() else {
        return false;
    };
    match (resolve_again(begun, before), resolve_again(begun, asked)) {
        (Ok(before), Ok(after)) => plain(before) == plain(after),
        _ => false,
    }
}

/// Resolves wishes on a dataset like that of the run.
fn resolve_again(begun: &TrainConfig, asked: Asked) -> Result<TrainConfig> {
    let dataset = DatasetDescription {
        name: String::new(),
        path: begun.dataset.path.clone(),
        resolution: begun.generator.img_resolution,
        num_channels: begun.generator.img_channels,
        // A seed is there where not all images are used.
        num_images: begun.dataset.max_size + usize::from(begun.dataset.random_seed.is_some()),
        label_dim: begun.generator.c_dim,
        fingerprint: None,
    };
    resolve(
        asked.preset,
        &dataset,
        &Overrides::from_typed(asked.overrides)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> TrainConfig {
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
        // As read from a state.
        serde_json::from_value(serde_json::to_value(config).unwrap()).unwrap()
    }

    #[test]
    fn what_may_change_changes_and_nothing_else_does() {
        let before = begun();
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
            asked: before.asked.clone(),
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
    fn the_wishes_of_the_run_are_no_change_and_others_are_named() {
        let before = begun();
        let same = Overrides {
            kimg: Some(10),
            gamma: Some(0.5),
            subset: Some(50),
            ada_max_p: Some(f64::INFINITY),
            // As the preset has it.
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
