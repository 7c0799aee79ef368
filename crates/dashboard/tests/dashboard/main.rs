//! The pages as a browser without script sees them: in process, over a real store, with a clock that stands until a test
//! moves it.

mod catalogue;
mod causes;
mod deliveries;
mod entry;
mod events;
mod inbound;
mod operators;
mod tools;
mod webhooks;
mod words;
mod world;
