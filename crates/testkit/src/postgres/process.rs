//! The processes of a server. Linux only: it reads `/proc`.

use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

/// Between two looks at something outside this process that wakes nobody.
const LOOK: Duration = Duration::from_millis(5);

/// A process. Its start tells it from a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: i32,
    started: u64,
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Process {
    pub(super) fn of(id: i32) -> Option<Self> {
        let Stat { started, .. } = stat(id)?;
        Some(Self { id, started })
    }

    pub(super) fn this() -> Self {
        let id = std::process::id().try_into().expect("because Linux numbers processes with 31 bits");
        Self::of(id).expect("because it runs")
    }

    /// A text that stands for it and for no later process: `3f2_9c41`.
    pub(super) fn mark(self) -> String {
        format!("{:x}_{:x}", self.id, self.started)
    }

    pub(super) fn of_mark(mark: &str) -> Option<Self> {
        let (id, started) = mark.split_once('_')?;
        Some(Self { id: i32::from_str_radix(id, 16).ok()?, started: u64::from_str_radix(started, 16).ok()? })
    }

    /// Those that it has started. PostgreSQL's have a session each, so that a signal to a group would miss them.
    pub(super) fn children(self) -> Vec<Self> {
        let all = fs::read_dir("/proc").expect("because this runs on Linux");
        let ids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children =
            ids.filter_map(|id: i32| Some((id, stat(id)?))).filter(|(_, stat)| stat.parent == self.id);
        children.map(|(id, stat)| Self { id, started: stat.started }).collect()
    }

    /// One that is gone takes no signal, and that is no error.
    pub(super) fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.lives(), Pid::from_raw(self.id)) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Stops it, and waits until it stands still.
    pub(super) fn freeze(self) {
        self.signal(Signal::STOP);
        let still = || stat(self.id).is_none_or(|stat| matches!(stat.state, 'T' | 't' | 'Z' | 'X'));
        assert!(look_until(Duration::from_secs(30), still), "process {} does not stop", self.id);
    }

    /// Whether it is there and more than a name that its parent has not struck off yet.
    pub(super) fn lives(self) -> bool {
        stat(self.id).is_some_and(|stat| stat.started == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Whether its command line has this text.
    pub(super) fn is_called_with(self, path: &Path) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.id)).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == path.as_os_str().as_encoded_bytes())
    }
}

/// Looks again and again until something holds, and says whether it came to hold in time.
///
/// For what happens in other processes, which wake nobody here, and for nothing else. It counts its looks: there is no
/// clock to read.
#[expect(
    clippy::disallowed_methods,
    reason = "waits for other processes, with a bound; nothing of ours would wake it"
)]
pub fn look_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let looks = patience.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if holds() {
            return true;
        }
        thread::sleep(LOOK);
    }
    holds()
}

/// `/proc/ID/stat`: number, name in brackets (which may have brackets and spaces), state, parent, …, start as the 22nd.
fn stat(id: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, started })
}
