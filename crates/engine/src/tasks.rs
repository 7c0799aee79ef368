//! The tasks that an engine cannot do without. One that panics is a defect of ours, and what goes on without it would look
//! alive and deliver nothing: readiness says so, and the server ends, so that whatever keeps it running starts it anew.

use tokio::task::JoinSet;

#[derive(Default)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
    /// What the first one said that panicked.
    panicked: Option<String>,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(task);
    }

    /// What one of them said that panicked. One that returns has nothing to do here: where there are no other nodes, nobody
    /// listens to them.
    pub(crate) fn panicked(&mut self) -> Option<&str> {
        while let Some(ended) = self.set.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "engine.task_panicked");
                self.panicked.get_or_insert(error.to_string());
            }
        }
        self.panicked.as_deref()
    }

    pub(crate) async fn shutdown(mut self) {
        self.set.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_noticed_and_remembered() {
        let mut tasks = Tasks::default();
        tasks.spawn(std::future::pending());
        tasks.spawn(async {});
        tokio::task::yield_now().await;
        assert_eq!(tasks.panicked(), None);
        tasks.spawn(async { panic!("on purpose") });
        while tasks.panicked().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(tasks.panicked().expect("it is remembered").contains("on purpose"));
        tasks.shutdown().await;
    }
}
