"""Everything that boto3 does with one tenant, chapter by chapter."""

import checksums
import features
import forms
import listing
import multipart
import objects
from s3 import tell

tell(*objects.CHAPTERS, *checksums.CHAPTERS, *multipart.CHAPTERS, *listing.CHAPTERS, *forms.CHAPTERS, *features.CHAPTERS)
