"""Everything that boto3 does with one tenant, chapter by chapter."""

import checksums
import features
import forms
import hosts
import listing
import multipart
import objects
import operations
from s3 import tell

MODULES = (objects, checksums, multipart, listing, forms, features, hosts, operations)
tell(*(chapter for module in MODULES for chapter in module.CHAPTERS))
