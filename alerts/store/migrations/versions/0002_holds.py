"""Topics that a worker holds because most of what came cannot be used."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.create_table('holds',
    sa.Column('topic', sa.Text(), nullable=False),
    sa.Column('worker', sa.Text(), nullable=False),
    sa.Column('since', sa.Double(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('sample', sa.Text(), nullable=False),
    sa.Column('sample_error', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.Double(), nullable=False),
    sa.Column('released_at', sa.Double(), nullable=True),
    sa.Column('released_by', sa.Text(), nullable=True),
    sa.Column('allowance', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.PrimaryKeyConstraint('topic', 'worker', name=op.f('pk_holds'))
    )


def downgrade() -> None:
    op.drop_table('holds')
