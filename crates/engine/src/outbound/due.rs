//! When a delivery's first attempt is due. Pure.

use postrider_domain::delivery::Reason;
use postrider_domain::profile::DeliveryMode;
use postrider_domain::schedule;
use postrider_domain::time::Timestamp;

use crate::catalogue::Tenant;

/// The first attempt's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstDue {
    Now,
    /// With the tenant's next scan.
    AtScan(Timestamp),
}

impl FirstDue {
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::AtScan(at) => at,
        }
    }

    pub const fn reason(self) -> Reason {
        match self {
            Self::Now => Reason::Waiting,
            Self::AtScan(_) => Reason::WaitingForScan,
        }
    }
}

/// Test events do not ask: they never wait for a scan, since somebody is looking at the page.
pub fn first_due(tenant: &Tenant, now: Timestamp) -> FirstDue {
    match tenant.delivery_mode() {
        DeliveryMode::Immediate => FirstDue::Now,
        DeliveryMode::Scan => {
            FirstDue::AtScan(schedule::next_scan(now, &tenant.pinned.values.timezone, tenant.scan_at()))
        }
    }
}
