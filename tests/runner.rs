//! Whole steps of the action as the runner starts them: what stands in outputs, summary and annotations, and that
//! nothing from outside gets further than text.

use crate::support::runner::Runner;

#[test]
fn a_push_is_deployed() {
    for after in [0, 2, 60] {
        let mut runner = Runner::named("slow-start");
        runner.cancel_after = Some(after);
        let (main, post) = runner.main_and_post();
        eprintln!("===={}\n{}", main.code, main.everything());
        eprintln!("===={}\n{}", post.code, post.everything());
    }
    panic!();
}
