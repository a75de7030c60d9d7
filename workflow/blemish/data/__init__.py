"""What passes between jobs: records, images, tensors, small files, written whole and read or refused."""
