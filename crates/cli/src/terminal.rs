//! The terminal on which bars are drawn. Its loss is not an error: a lost connection must not end days of work.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Draws bars on standard error and ignores all errors.
pub(crate) fn stderr() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like(Box::new(Forgiving(Term::buffered_stderr())))
}

/// A terminal whose errors are ignored, since `indicatif` panics on them.
#[derive(Debug)]
struct Forgiving<T>(T);

fn forgive(result: io::Result<()>) -> io::Result<()> {
    drop(result);
    Ok(())
}

impl<T: TermLike> TermLike for Forgiving<T> {
    fn width(&self) -> u16 {
        self.0.width()
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        forgive(self.0.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        forgive(self.0.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        forgive(self.0.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        forgive(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        forgive(self.0.flush())
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{MultiProgress, ProgressBar};

    use super::*;

    /// A terminal that is lost: every operation fails.
    #[derive(Debug)]
    struct Gone;

    fn gone() -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    impl TermLike for Gone {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            gone()
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            gone()
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            gone()
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            gone()
        }
        fn write_line(&self, _: &str) -> io::Result<()> {
            gone()
        }
        fn write_str(&self, _: &str) -> io::Result<()> {
            gone()
        }
        fn clear_line(&self) -> io::Result<()> {
            gone()
        }
        fn flush(&self) -> io::Result<()> {
            gone()
        }
    }

    #[test]
    fn bars_survive_the_loss_of_their_terminal() {
        let target = ProgressDrawTarget::term_like(Box::new(Forgiving(Gone)));
        let bars = MultiProgress::with_draw_target(target);
        let bar = bars.add(ProgressBar::new(3));
        bar.inc(1);
        bar.tick();
        assert_eq!(bars.suspend(|| 7), 7);
        bar.finish_and_clear();
    }
}
