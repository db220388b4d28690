//! The marker that a scheme comes to for one table: names become places, and what the table lacks is left
//! out.

use lockgate_transforms::marks::code;
use lockgate_transforms::marks::embed::{
    self, MarkPlan, MarkedField, Marker, RowAnchor, TaggedField,
};
use lockgate_transforms::marks::key::MarkKey;

use super::{Anchor, FoundBy, Scheme, SchemeError};

impl Scheme {
    /// The marker for a table with these columns, by the dataset's names and in the table's order.
    ///
    /// Marked fields that the table lacks are left out. So are anchors of which a column is missing,
    /// and the fields that are found by those. What is left may be nothing: see
    /// [`MarkPlan::fields`]. A run, whose table lacks nothing, marks every field of the scheme.
    ///
    /// # Errors
    /// A scheme that contradicts itself.
    pub fn marker<N: AsRef<str>>(
        &self,
        key: &MarkKey,
        columns: &[N],
    ) -> Result<Marker, SchemeError> {
        Ok(Marker::new(
            &key.of_suite(self.suite),
            self.plan_for(columns)?,
        ))
    }

    /// The plan of [`marker`](Self::marker), without a key.
    ///
    /// # Errors
    /// A scheme that contradicts itself.
    pub fn plan_for<N: AsRef<str>>(&self, columns: &[N]) -> Result<MarkPlan, SchemeError> {
        let place = |name: &String| columns.iter().position(|column| column.as_ref() == name);
        let kept = self.anchors_kept(&place);
        let (mut fields, mut tags) = (Vec::new(), Vec::new());
        for field in &self.fields {
            if let Some(tag) = field.tag()? {
                tags.extend(place(&field.name).map(|column| TaggedField {
                    column,
                    name: field.name.clone(),
                    tag,
                }));
                continue;
            }
            let found_by = match field.found_by {
                FoundBy::Value => Some(embed::FoundBy::Value),
                // A place beyond the anchors is a contradiction that the plan refuses.
                FoundBy::Row(at) => match kept.get(at) {
                    Some(is_kept) => is_kept.then(|| {
                        let earlier = kept.iter().take(at).filter(|is_kept| **is_kept);
                        embed::FoundBy::Row(earlier.count())
                    }),
                    None => Some(embed::FoundBy::Row(usize::MAX)),
                },
            };
            let (Some(column), Some(found_by)) = (place(&field.name), found_by) else {
                continue;
            };
            let density = code::Density::of(field.density.part, field.density.whole);
            fields.push(MarkedField {
                column,
                name: field.name.clone(),
                density: density.ok_or_else(|| field.foreign())?,
                found_by,
                carrier: field.carrier(field.is_in_block())?,
            });
        }
        let anchors = self.anchors.iter().zip(&kept);
        let anchors = anchors.filter(|(_, is_kept)| **is_kept);
        let anchors = anchors.map(|(anchor, _)| RowAnchor {
            family: anchor.family.family(),
            columns: anchor.fields.iter().filter_map(place).collect(),
            blocks: places_in(&fields, &anchor.blocks),
        });
        let anchors = anchors.collect();
        let plan = MarkPlan::new(anchors, fields).and_then(|plan| plan.with_tags(tags));
        plan.map_err(SchemeError::Plan)
    }

    /// Which anchors can be made of a table's columns: those of which no column is missing, nor a marked
    /// field by whose blocks they find rows, which may itself be found by an anchor.
    fn anchors_kept(&self, place: &dyn Fn(&String) -> Option<usize>) -> Vec<bool> {
        let is_there = |anchor: &Anchor| anchor.parts().all(|name| place(name).is_some());
        let mut kept: Vec<bool> = self.anchors.iter().map(is_there).collect();
        loop {
            let is_found = |name: &String| {
                let field = self.fields.iter().find(|field| field.name == *name);
                field.is_none_or(|field| match field.found_by {
                    FoundBy::Row(at) => kept.get(at).copied().unwrap_or(true),
                    FoundBy::Value => true,
                })
            };
            let anchors = self.anchors.iter().zip(&kept);
            let left =
                anchors.map(|(anchor, is_kept)| *is_kept && anchor.blocks.iter().all(is_found));
            let left: Vec<bool> = left.collect();
            if left == kept {
                return kept;
            }
            kept = left;
        }
    }
}

/// The places of fields in a plan, by their names; one that isn't there is beyond all, which the plan
/// refuses.
fn places_in(fields: &[MarkedField], names: &[String]) -> Vec<usize> {
    let place = |name: &String| fields.iter().position(|field| field.name == *name);
    let places = names.iter().map(|name| place(name).unwrap_or(usize::MAX));
    places.collect()
}

#[cfg(test)]
mod tests;
