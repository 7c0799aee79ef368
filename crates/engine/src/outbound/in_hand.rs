//! The deliveries whose claims have a living holder: what a sweep must not take for orphans.

use std::sync::{Arc, Mutex};

use foldhash::HashSet;
use postrider_domain::id::DeliveryId;

const POISON: &str = "because no holder of this lock panics";

#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<HashSet<DeliveryId>>>);

impl InHand {
    /// Held until the guard is dropped.
    pub fn hold(&self, delivery: DeliveryId) -> Held {
        self.0.lock().expect(POISON).insert(delivery);
        Held { all: self.clone(), delivery }
    }

    pub fn holds(&self, delivery: DeliveryId) -> bool {
        self.0.lock().expect(POISON).contains(&delivery)
    }
}

#[derive(Debug)]
pub struct Held {
    all: InHand,
    delivery: DeliveryId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.lock().expect(POISON).remove(&self.delivery);
    }
}
