//! Events of a run, from which a caller can show its progress.

use crate::record::Reason;

/// A stage of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading, decoding, detecting, cropping; counted in inputs.
    Measure,
    /// Comparing and deciding; not counted.
    Decide,
    /// Writing the zip; counted in samples.
    Pack,
    /// Writing manifest and report; not counted.
    Record,
}

/// Something that happened in a run, reported to the caller at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stage begins.
    Start {
        /// The stage.
        stage: Stage,
        /// Number of items of the stage, in the unit that [`Stage`] names; 0 for a stage that is not counted.
        total: usize,
        /// Number of these items that need no work, since an earlier run did it.
        done: usize,
    },
    /// One more item of the stage is done.
    Step {
        /// The stage.
        stage: Stage,
        /// For an input that could not be measured, the reason.
        failed: Option<Reason>,
        /// For an image that was measured, the number of faces found; else 0.
        faces: usize,
    },
    /// A stage is over.
    End(Stage),
    /// The journal held measurements made with other settings, which were discarded.
    OtherSettings,
}
