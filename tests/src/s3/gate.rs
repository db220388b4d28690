//! The gate before s3s-fs: locks, conditions and faults.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use tokio::sync::RwLock;

use super::Shared;
use super::fault::{Fault, Operation, PlannedWhat};
use super::line::Line;

/// One lock per key: reads share it, whatever changes the object holds it alone.
#[derive(Default)]
pub(super) struct Locks {
    keys: Mutex<HashMap<String, Arc<RwLock<()>>>>,
}

impl Locks {
    fn of(&self, bucket: &str, key: &str) -> Arc<RwLock<()>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(format!("{bucket}/{key}")).or_default())
    }
}

/// The service of one connection.
pub(super) struct Gate {
    pub(super) shared: Shared,
    pub(super) line: Arc<Line>,
}

impl Gate {
    /// Lets a request happen, unless a fault keeps it from it.
    async fn arrive(&self, operation: Operation) -> S3Result<()> {
        let fault = match self.shared.faults.arrive(operation) {
            None => return Ok(()),
            Some(PlannedWhat::Fault(fault)) => fault,
            Some(PlannedWhat::Hold(mut held)) => {
                // The sender sends nothing: its end is the sign.
                while held.changed().await.is_ok() {}
                return Ok(());
            }
        };
        match fault {
            Fault::Refuse => Err(s3_error!(SlowDown, "refused by the test")),
            // Whatever is answered now doesn't arrive.
            Fault::Drop => {
                self.line.cut_after(0);
                Err(s3_error!(SlowDown, "dropped by the test"))
            }
            Fault::CutAnswer { after } => {
                self.line.cut_after(after);
                Ok(())
            }
        }
    }
}

/// RFC 9110, 13.1: `If-Match` fails on another ETag, `If-None-Match` on the same one.
fn check_conditions(
    found: Option<&ETag>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let same = |condition: &ETagCondition| match condition.as_etag() {
        Some(wanted) => found.is_some_and(|found| found.weak_cmp(wanted)),
        None => true,
    };
    if if_match.is_some_and(|condition| !same(condition)) {
        return Err(s3_error!(PreconditionFailed, "the object has another ETag"));
    }
    if if_none_match.is_some_and(same) {
        return Err(s3_error!(NotModified, "the object has this ETag"));
    }
    Ok(())
}

#[async_trait]
impl S3 for Gate {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.shared.files.head_bucket(request).await
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.arrive(Operation::Get).await?;
        let input = &request.input;
        let lock = self.shared.locks.of(&input.bucket, &input.key);
        let _held = lock.read().await;
        let (if_match, if_none_match) = (input.if_match.clone(), input.if_none_match.clone());
        let found = self.shared.files.get_object(request).await?;
        let etag = found.output.e_tag.as_ref();
        check_conditions(etag, if_match.as_ref(), if_none_match.as_ref())?;
        Ok(found)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.arrive(Operation::Head).await?;
        let input = &request.input;
        let lock = self.shared.locks.of(&input.bucket, &input.key);
        let _held = lock.read().await;
        let (if_match, if_none_match) = (input.if_match.clone(), input.if_none_match.clone());
        let found = self.shared.files.head_object(request).await?;
        let etag = found.output.e_tag.as_ref();
        check_conditions(etag, if_match.as_ref(), if_none_match.as_ref())?;
        Ok(found)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.arrive(Operation::List).await?;
        let bucket = request.input.bucket.clone();
        let template = request.clone().map_input(|_| ());
        let mut listed = self.shared.files.list_objects_v2(request).await?;
        for object in listed.output.contents.iter_mut().flatten() {
            let Some(key) = object.key.clone() else {
                continue;
            };
            let input = HeadObjectInput {
                bucket: bucket.clone(),
                key,
                ..Default::default()
            };
            let head = self
                .shared
                .files
                .head_object(template.clone().map_input(|()| input));
            // Gone since it was listed: then it has no ETag.
            object.e_tag = head.await.ok().and_then(|head| head.output.e_tag);
        }
        Ok(listed)
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let conditional = request.input.if_none_match.is_some();
        self.arrive(if conditional {
            Operation::Create
        } else {
            Operation::Put
        })
        .await?;
        let lock = self
            .shared
            .locks
            .of(&request.input.bucket, &request.input.key);
        let _held = lock.write().await;
        self.shared.files.put_object(request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.arrive(Operation::Put).await?;
        let lock = self
            .shared
            .locks
            .of(&request.input.bucket, &request.input.key);
        let _held = lock.write().await;
        self.shared.files.copy_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.arrive(Operation::Delete).await?;
        let lock = self
            .shared
            .locks
            .of(&request.input.bucket, &request.input.key);
        let _held = lock.write().await;
        self.shared.files.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.arrive(Operation::Delete).await?;
        self.shared.files.delete_objects(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.arrive(Operation::BeginUpload).await?;
        self.shared.files.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.arrive(Operation::UploadPart).await?;
        self.shared.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.arrive(Operation::CompleteUpload).await?;
        let lock = self
            .shared
            .locks
            .of(&request.input.bucket, &request.input.key);
        let _held = lock.write().await;
        self.shared.files.complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.arrive(Operation::AbortUpload).await?;
        self.shared.files.abort_multipart_upload(request).await
    }
}
