use crate::config::TrainConfig;

/// Which network a phase trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trains {
    /// The generator.
    Generator,
    /// The discriminator.
    Discriminator,
}

/// One of the steps that an iteration is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Whose weights move.
    pub trains: Trains,
    /// Whether the adversarial loss is taken.
    pub main: bool,
    /// Whether the penalty is taken: path length for the generator, R1 for the discriminator.
    pub regularize: bool,
    /// Runs in iterations that this divides; the loss is multiplied by it.
    pub interval: usize,
}

impl Phase {
    /// The official name: `Gmain`, `Greg`, `Gboth`, `Dmain`, `Dreg`, `Dboth`.
    pub fn name(&self) -> &'static str {
        match (self.trains, self.main, self.regularize) {
            (Trains::Generator, true, true) => "Gboth",
            (Trains::Generator, true, false) => "Gmain",
            (Trains::Generator, false, _) => "Greg",
            (Trains::Discriminator, true, true) => "Dboth",
            (Trains::Discriminator, true, false) => "Dmain",
            (Trains::Discriminator, false, _) => "Dreg",
        }
    }

    /// A phase by its official name.
    pub fn named(name: &str, interval: usize) -> Option<Self> {
        let (trains, rest) = match name.split_at_checked(1)? {
            ("G", rest) => (Trains::Generator, rest),
            ("D", rest) => (Trains::Discriminator, rest),
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

    /// The phases of an iteration in their order.
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
            of(Trains::Generator, config.g_reg_interval),
            of(Trains::Discriminator, config.d_reg_interval),
        ]
        .concat()
    }
}
