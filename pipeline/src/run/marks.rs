//! The marks of a run: enough of them for what policy asks, and in the ledger before they leave.

use lockgate_connectors::source::Source;

use crate::engine::Marking;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::Ledger;
use crate::marks::forecast;
use crate::marks::record::{Recorded, ensure_begun, hold};
use crate::plan::{ExchangePlan, Refusal, RefusalCode};

/// Refuses a delivery whose rows are too few for the carriers that policy asks for, or warns of it,
/// once the source says how many there are.
pub(super) fn check_rows(
    installation: &Installation,
    plan: &ExchangePlan,
    source: &dyn Source,
) -> Result<(), RunError> {
    judge(
        installation,
        plan,
        forecast::too_few_of(&installation.site, plan, source),
    )
}

/// The same once the rows were read, of a source that could not say before how many it has.
pub(super) fn check_read(
    installation: &Installation,
    plan: &ExchangePlan,
    source: &dyn Source,
    read: u64,
) -> Result<(), RunError> {
    if source.rows_total().is_some() || plan.marks.is_none() {
        return Ok(());
    }
    let marking = &installation.site.policy.marking;
    let too_few = forecast::too_few(marking, plan.marks.as_ref(), Some(read));
    judge(installation, plan, too_few)
}

fn judge(
    installation: &Installation,
    plan: &ExchangePlan,
    too_few: Option<String>,
) -> Result<(), RunError> {
    let Some(what) = too_few else { return Ok(()) };
    if forecast::is_refused(&installation.site.policy.marking) {
        return Err(vec![Refusal::new(RefusalCode::Unmarked, what)].into());
    }
    tracing::warn!(grant = plan.grant, code = "unmarked", "{what}");
    Ok(())
}

/// The marks of the plan's deliveries, and what the ledger holds of them; none where no field carries
/// marks.
pub(super) fn begin(
    installation: &Installation,
    ledger: &Ledger,
    plan: &ExchangePlan,
) -> Result<Option<(Marking, Recorded)>, RunError> {
    let Some(held) = hold(installation, plan)? else {
        return Ok(None);
    };
    let recorded = ensure_begun(installation, ledger, plan, &held.scheme, &held.key)?;
    Ok(Some((Marking::new(held.marker, recorded.index), recorded)))
}
