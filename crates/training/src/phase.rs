//! The phases of an iteration, for lazy regularization (arXiv:1912.04958, appendix B).

use crate::config::TrainConfig;

/// The network that a phase trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainedNetwork {
    /// The generator.
    Generator,
    /// The discriminator.
    Discriminator,
}

/// A kind of optimizer step. An iteration consists of one step of each phase that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The network whose weights are updated.
    pub trains: TrainedNetwork,
    /// Whether the loss of the phase contains the adversarial loss.
    pub main: bool,
    /// Whether the loss of the phase contains the penalty: path length for the generator, R1 for the discriminator.
    pub regularize: bool,
    /// The phase runs in every `interval`-th iteration, and its loss is multiplied by `interval`.
    pub interval: usize,
}

impl Phase {
    /// NVIDIA's name of the phase: `Gmain`, `Greg`, `Gboth`, `Dmain`, `Dreg` or `Dboth`.
    pub fn name(&self) -> &'static str {
        match (self.trains, self.main, self.regularize) {
            (TrainedNetwork::Generator, true, true) => "Gboth",
            (TrainedNetwork::Generator, true, false) => "Gmain",
            (TrainedNetwork::Generator, false, _) => "Greg",
            (TrainedNetwork::Discriminator, true, true) => "Dboth",
            (TrainedNetwork::Discriminator, true, false) => "Dmain",
            (TrainedNetwork::Discriminator, false, _) => "Dreg",
        }
    }

    /// The phase with NVIDIA's name `name`, run in every `interval`-th iteration; `None` for other names.
    pub fn named(name: &str, interval: usize) -> Option<Self> {
        let (trains, rest) = match name.split_at_checked(1)? {
            ("G", rest) => (TrainedNetwork::Generator, rest),
            ("D", rest) => (TrainedNetwork::Discriminator, rest),
            _ => return None,
        };
        let (main, regularize) = match rest {
            "main" => (true, false),
            "reg" => (false, true),
            "both" => (true, true),
            _ => return None,
        };
        Some(Self {
            trains,
            main,
            regularize,
            interval,
        })
    }

    /// The phases in the order in which an iteration runs them: `Gmain`, `Greg`, `Dmain`, `Dreg`.
    pub fn all(config: &TrainConfig) -> Vec<Phase> {
        let of = |trains, interval| {
            let phase = |main, interval| Phase {
                trains,
                main,
                regularize: !main,
                interval,
            };
            [phase(true, 1), phase(false, interval)]
        };
        [
            of(TrainedNetwork::Generator, config.g_reg_interval),
            of(TrainedNetwork::Discriminator, config.d_reg_interval),
        ]
        .concat()
    }
}
