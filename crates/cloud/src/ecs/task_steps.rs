//! The steps in the life of every task, of a service or of RunTask: PROVISIONING, PENDING, RUNNING, and the end.

/// A step that a task of a service and one of RunTask share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonStep {
    /// PROVISIONING is over; images are being pulled.
    Pull,
    /// Images are pulled; of a task of RunTask also: cannot be.
    Pulled,
    /// Containers run.
    Run,
    /// Containers have ended after a stop.
    Exited,
    /// The network interface is removed.
    Stopped,
}

impl CommonStep {
    /// Whether it belongs to the end of a task.
    pub(super) fn is_shutdown(self) -> bool {
        matches!(self, Self::Exited | Self::Stopped)
    }
}
