//! End-to-end tests: the program itself, on real sites and stores.

#[cfg(test)]
mod broken_stores;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod exchange_site;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod killed;
