//! The deliveries whose claims have a living holder: what a sweep must not take for orphans.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use foldhash::HashMap;
use postrider_domain::id::DeliveryId;

const POISON: &str = "because no holder of this lock panics";

#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<HashMap<DeliveryId, u32>>>);

impl InHand {
    /// Held until the guard is dropped.
    pub fn hold(&self, delivery: DeliveryId) -> Held {
        *self.0.lock().expect(POISON).entry(delivery).or_default() += 1;
        Held { all: self.clone(), delivery }
    }

    pub fn holds(&self, delivery: DeliveryId) -> bool {
        self.0.lock().expect(POISON).contains_key(&delivery)
    }
}

#[derive(Debug)]
pub struct Held {
    all: InHand,
    delivery: DeliveryId,
}

impl Drop for Held {
    fn drop(&mut self) {
        // What was handed back may have been claimed anew before its first holder is gone.
        let mut all = self.all.0.lock().expect(POISON);
        if let Entry::Occupied(mut holders) = all.entry(self.delivery) {
            *holders.get_mut() -= 1;
            if *holders.get() == 0 {
                holders.remove();
            }
        }
    }
}
