//! Recall, precision and average precision of face detectors against true boxes.
//!
//! Used by `cargo xtask detect-eval` and by `dev/detector-training`; no library or tool of the workspace depends on it.
//!
//! ```
//! use detect::Face;
//! use detector_evaluation::{Truth, evaluate};
//!
//! let truth = Truth { width: 100, height: 100, faces: vec![[10.0, 10.0, 50.0, 50.0]], ..Truth::default() };
//! let faces = [Face { rect: [12.0, 10.0, 50.0, 48.0], score: 0.9 }];
//! let scores = evaluate([(&truth, &faces[..])], 0.5);
//! assert_eq!((scores.recall(), scores.precision()), (1.0, 1.0));
//! ```

mod scores;
mod truth;

pub use scores::{Scores, evaluate, evaluate_sizes};
pub use truth::{Truth, TruthError, load_truth};
