//! Shows the events of a run as progress bars.

use cli::Progress;
use curation::record::Reason;
use curation::{Event, Stage};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The progress bars of a run.
#[derive(Default)]
pub struct Bars(Mutex<State>);

#[derive(Default)]
struct State {
    bar: Option<Progress>,
    faces: usize,
    failed: BTreeMap<Reason, usize>,
}

impl Bars {
    pub fn on_event(&self, event: Event) {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Start { stage, total, done } => {
                let (title, unit) = match stage {
                    Stage::Measure => ("measuring", "inputs"),
                    Stage::Pack => ("packing", "samples"),
                    Stage::Decide | Stage::Record => return,
                };
                if stage == Stage::Measure && total == done {
                    if total > 0 {
                        tracing::info!(
                            "all {total} inputs were measured before: nothing is decoded again"
                        );
                    }
                    return;
                }
                if done > 0 {
                    tracing::info!("{done} of {total} inputs were measured before");
                }
                let bar = Progress::new(title, Some(total as u64), unit);
                bar.resume_from(done as u64);
                state.bar = Some(bar);
            }
            Event::Step { failed, faces, .. } => {
                state.faces += faces;
                if let Some(reason) = failed {
                    *state.failed.entry(reason).or_default() += 1;
                }
                let mut message = format!("{} faces", state.faces);
                for (reason, n) in &state.failed {
                    message += &format!(", {n} {}", reason.name());
                }
                if let Some(bar) = &state.bar {
                    bar.inc(1);
                    if state.faces > 0 || !state.failed.is_empty() {
                        bar.set_message(message);
                    }
                }
            }
            Event::End(_) => {
                if let Some(bar) = state.bar.take() {
                    bar.finish();
                }
                state.faces = 0;
                state.failed.clear();
            }
            Event::OtherSettings => {
                tracing::info!(
                    "the journal holds measurements of other settings: they are made anew"
                );
            }
        }
    }
}
